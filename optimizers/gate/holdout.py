"""The holdout: sealed slices of tasks known by their content, each read once, with no verdict missing."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from pydantic import Field, model_validator

from controllers.filelock import hold
from optimizers.gate.holdout_ledger import Completed, Entry, EntryTable, Head, Opened, Registered
from optimizers.intervals import TaskValues
from signatures.digest import digest_of
from signatures.errors import EvidenceError, HoldoutSpent, StoreError, UsageError
from signatures.records import Record, Task

_LISTED: Final = 50
"""Ids that one message names."""


class Slice(Record):
    """Some tasks of the holdout and what judges them."""

    name: str
    tasks: Mapping[str, str] = Field(min_length=1)
    "task digest -> content digest"
    checkers: Mapping[str, str]
    "objective -> revision of its checker"
    judge: str
    "name and revision"

    @model_validator(mode="after")
    def _each_task_once(self) -> Self:
        if len(set(self.tasks.values())) < len(self.tasks):
            raise ValueError("one task stands in it under several ids")
        return self

    @property
    def contents(self) -> tuple[str, ...]:
        """The content digests of its tasks, in order."""
        return tuple(sorted(self.tasks.values()))

    @property
    def seal(self) -> str:
        """The digest of contents and revisions: neither the slice's name nor the tasks' ids change it."""
        return digest_of(list(self.contents), dict(self.checkers), self.judge)


def contents_of(tasks: Iterable[Task], hidden: Mapping[str, object] | None = None) -> dict[str, str]:
    """Task digest -> content digest: of the prompt, but for spaces and compatible letters, and of what `hidden` says.

    `hidden` (task digest -> JSON-able) is for tasks that one prompt does not tell apart, such as faults planted in a
    world. Never put an id of a task there: ids can be changed. Raises UsageError on a task that comes twice or that
    `hidden` leaves out.
    """
    found: dict[str, str] = {}
    for task in tasks:
        if task.digest in found:
            raise UsageError(f"task {task.digest} comes twice")
        if hidden is not None and task.digest not in hidden:
            raise UsageError(f"task {task.digest}: hidden content is given for other tasks and not for this one")
        prompt = " ".join(unicodedata.normalize("NFKC", task.prompt).split())
        found[task.digest] = digest_of(prompt, hidden[task.digest] if hidden is not None else None)
    return found


def seal(name: str, contents: Mapping[str, str], *, checkers: Mapping[str, str], judge: str) -> Slice:
    """A slice of the tasks that `contents` lists. Raises UsageError on no task, and on two of one content."""
    if not contents:
        raise UsageError(f"slice {name}: has no task")
    _refuse_twins(contents, f"slice {name}")
    return Slice(name=name, tasks=dict(contents), checkers=dict(checkers), judge=judge)


def require_disjoint(splits: Mapping[str, Mapping[str, str]]) -> None:
    """Raises UsageError listing the tasks that two splits share, by id or, under two ids, by content.

    `splits`: name -> task digest -> content digest.
    """
    for (left, here), (right, there) in combinations(splits.items(), 2):
        ids_there = {content: id for id, content in there.items()}
        shared = {id: id for id in here if id in there}
        shared |= {id: ids_there[c] for id, c in here.items() if c in ids_there and id not in shared}
        if shared:
            named = [id if id == other else f"{id} (as {other})" for id, other in sorted(shared.items())]
            raise UsageError(f"{left} and {right} overlap in {len(named)} tasks: {_listed(named)}")


def rotated(contents: Mapping[str, str], slices: int, *, seed: int = 0) -> tuple[dict[str, str], ...]:
    """The tasks dealt out to so many disjoint slices, whose sizes differ by one at most: one for each gate to come.

    A function of contents and seed: other ids, or another order, change nothing. Raises UsageError on two tasks of
    one content, and on more slices than tasks.
    """
    _refuse_twins(contents, "the tasks to rotate")
    if not 1 <= slices <= len(contents):
        raise UsageError(f"{len(contents)} tasks cannot be dealt out to {slices} slices")
    order = sorted(contents, key=lambda id: digest_of(seed, contents[id]))
    return tuple({id: contents[id] for id in order[first::slices]} for first in range(slices))


def require_complete(slice: Slice, verdicts: Mapping[str, TaskValues], *, repeats: int = 1) -> None:
    """Every arm has `repeats` numbers for every task of the slice, or nothing is concluded: no gap is a 0.

    `verdicts`: arm -> task digest -> values of its repeats. Raises EvidenceError saying how many are missing and
    which; UsageError on no arm, on tasks and repeats that are not of this read, and on values that are not finite.
    """
    if not verdicts or repeats < 1:
        raise UsageError(f"slice {slice.name}: verdicts of at least one arm and one repeat are asked for")
    gaps: list[str] = []
    for arm, by_task in verdicts.items():
        if strangers := sorted(set(by_task) - set(slice.tasks)):
            raise UsageError(f"arm {arm}: not tasks of slice {slice.name}: {_listed(strangers)}")
        missing = {task: _missing(arm, task, by_task.get(task, ()), repeats) for task in slice.tasks}
        if lost := sum(missing.values()):
            which = _listed([task for task in sorted(missing) if missing[task]])
            gaps.append(f"arm {arm}: {lost} of {repeats * len(slice.tasks)} verdicts are missing, of tasks {which}")
    if gaps:
        raise EvidenceError("; ".join(gaps))


@dataclass
class OpenRead:
    """The right to run one slice for one candidate, held by one process until `close` or its death."""

    slice: Slice
    id: str
    tries: int
    "how often it was opened, this time included"
    lock: BinaryIO

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another process go on with the read, if it is not complete. Closing twice is allowed."""
        self.lock.close()


class HoldoutLedger:
    """Who read which slice, and when. What was opened is spent for everyone but that candidate; complete, for all."""

    def __init__(self, path: Path) -> None:
        """Open the ledger, or make it. Raises StoreError, as every method does, also where a row was touched."""
        self.path = path
        self._table = EntryTable(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        self._table.close()

    def register(self, registration: str, slice: Slice, *, candidate: str, at: datetime) -> None:
        """Note the digest of a registration. The same one again is a no-op.

        Raises HoldoutSpent where a task of the slice was run already, under any id: then it is too late to register.
        """
        with self._table.writing() as entries:
            if _registered(entries, registration, slice, candidate):
                return
            _refuse_spent(entries, slice)
            self._table.add(Registered(registration=registration, candidate=candidate, seal=slice.seal, at=at))

    def open_read(self, slice: Slice, *, candidate: str, registration: str, at: datetime) -> OpenRead:
        """Begin to read a slice, or go on with a read of the same candidate and registration that was broken off.

        Raises UsageError where this registration (digest) was not noted for this candidate and slice; HoldoutSpent
        where a task of the slice was read under any id, is open for another candidate or under another registration,
        or is being run by another process at this moment.
        """
        id = digest_of(candidate, slice.seal)
        with ExitStack() as unless_open:
            with self._table.writing() as entries:
                if not _registered(entries, registration, slice, candidate):
                    raise UsageError(
                        f"registration {registration} was not noted in {self.path} for this candidate and slice"
                        f" {slice.name}: the file was edited after it was registered, or never registered here"
                    )
                _refuse_spent(entries, slice, but=id)
                before = [entry for entry in entries if isinstance(entry, Opened) and entry.read == id]
                if any(entry.registration != registration for entry in before):
                    raise HoldoutSpent(f"slice {slice.name} is open under registration {before[0].registration} alone")
                lock = unless_open.enter_context(self._hold(slice, id))
                self._table.add(_opened(id, slice, candidate, registration, at))
            unless_open.pop_all()
        return OpenRead(slice, id, len(before) + 1, lock)

    def complete(
        self, read: OpenRead, verdicts: Mapping[str, TaskValues], *, at: datetime, repeats: int = 1
    ) -> Completed:
        """End a read: from now on its slice is spent for everyone. `verdicts` as in `require_complete`.

        Raises what `require_complete` raises, and leaves the read open; HoldoutSpent where it was completed before.
        """
        require_complete(read.slice, verdicts, repeats=repeats)
        entry = Completed(read=read.id, verdicts=verdicts_digest(verdicts), at=at)
        with self._table.writing() as entries:
            if read.lock.closed:
                raise UsageError(f"slice {read.slice.name}: this read was closed; open it again")
            if any(isinstance(old, Completed) and old.read == read.id for old in entries):
                raise HoldoutSpent(f"slice {read.slice.name} was read by this candidate before")
            self._table.add(entry)
        self._lock_path(read.id).unlink(missing_ok=True)  # nobody can open this read again
        read.close()
        return entry

    def completed(self, slice: Slice, *, candidate: str) -> Completed | None:
        """The end of this candidate's read, or None: whose verdicts a report that was lost may be made from again."""
        id = digest_of(candidate, slice.seal)
        return next((e for e in self.entries() if isinstance(e, Completed) and e.read == id), None)

    def unspent(self, slices: Sequence[Slice]) -> tuple[Slice, ...]:
        """Those of which no task was read or is being read: the next gate takes the first."""
        spent = _spent(self.entries())
        return tuple(slice for slice in slices if spent.isdisjoint(slice.contents))

    def entries(self) -> tuple[Entry, ...]:
        """All that was noted, oldest first."""
        return tuple(self._table.read()[0])

    def verify(self, *, since: Head | None = None) -> Head:
        """Walk the chain to its end. Raises StoreError naming the first row that was edited, deleted or inserted,
        and where the chain does not go on from `since`: then the file was written anew, or put back.
        """
        heads = [Head(rows=0), *self._table.read()[1]]
        if since is not None and since not in heads:
            raise StoreError(f"{self.path}: does not go on from row {since.rows}, whose chain was {since.chain}")
        return heads[-1]

    def _hold(self, slice: Slice, id: str) -> BinaryIO:
        try:
            return hold(self._lock_path(id))
        except BlockingIOError as error:
            raise HoldoutSpent(f"slice {slice.name} is being read by another process at this moment") from error

    def _lock_path(self, id: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{id}.lock")


def verdicts_digest(verdicts: Mapping[str, TaskValues]) -> str:
    """Names the verdicts of a read: arm -> task digest -> values of its repeats."""
    return digest_of({arm: {task: list(values) for task, values in by.items()} for arm, by in verdicts.items()})


def _opened(id: str, slice: Slice, candidate: str, registration: str, at: datetime) -> Opened:
    return Opened(
        read=id,
        registration=registration,
        candidate=candidate,
        slice=slice.name,
        seal=slice.seal,
        contents=slice.contents,
        at=at,
    )


def _registered(entries: Sequence[Entry], registration: str, slice: Slice, candidate: str) -> bool:
    wanted = (registration, candidate, slice.seal)
    return any(isinstance(e, Registered) and (e.registration, e.candidate, e.seal) == wanted for e in entries)


def _spent(entries: Iterable[Entry], but: str = "") -> set[str]:
    """The contents that were opened, but for those of the read `but` as long as it is not complete."""
    entries = list(entries)
    done = {entry.read for entry in entries if isinstance(entry, Completed)}
    opened = (entry for entry in entries if isinstance(entry, Opened) and (entry.read != but or but in done))
    return {content for entry in opened for content in entry.contents}


def _refuse_spent(entries: Sequence[Entry], slice: Slice, *, but: str = "") -> None:
    spent = _spent(entries, but)
    ids = sorted(id for id, content in slice.tasks.items() if content in spent)
    if ids:
        which = _listed(ids, most=5)
        raise HoldoutSpent(f"slice {slice.name}: {len(ids)} of {len(slice.tasks)} tasks were read: {which}")


def _refuse_twins(contents: Mapping[str, str], where: str) -> None:
    by_content: dict[str, list[str]] = {}
    for id in sorted(contents):
        by_content.setdefault(contents[id], []).append(id)
    twins = [" = ".join(ids) for ids in by_content.values() if len(ids) > 1]
    if twins:
        raise UsageError(f"{where}: one task under several ids: {_listed(twins)}")


def _missing(arm: str, task: str, values: Sequence[float | None], repeats: int) -> int:
    if len(values) > repeats:
        raise UsageError(f"arm {arm}, task {task}: {len(values)} verdicts where {repeats} were registered")
    present = [value for value in values if value is not None]
    if not all(math.isfinite(value) for value in present):
        raise UsageError(f"arm {arm}, task {task}: a verdict is not finite; what could not be judged is None")
    return repeats - len(present)


def _listed(names: Sequence[str], *, most: int = _LISTED) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
