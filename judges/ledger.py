"""The verdict ledger: written from the run, append-only, and read as numbers by a closed list of readers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Literal, Self, TypeVar

from pydantic import ValidationError

from controllers.sqlite import store_errors, transaction
from judges.chain import Head, Row, bodies_of_episodes, body_of, connect, extend, walk
from judges.records import Verdict
from signatures.digest import canonical_json
from signatures.errors import FirewallBreach, StoreError, UsageError
from signatures.records import Split

T = TypeVar("T")

Reader = Literal["evaluator", "report", "gate"]
"""Who asks: the search's evaluator, a report (which prints aggregates, never one score), the gate."""

MAY_READ: Final[Mapping[Reader, frozenset[Split]]] = MappingProxyType(
    {
        "evaluator": frozenset({"search"}),
        "report": frozenset({"search", "dev"}),
        "gate": frozenset({"holdout"}),
    }
)
"""The splits whose numbers each reader may see. What is not listed is refused."""


@dataclass
class _Unit:
    """What one `append` stores, all of it or nothing. Refused until its commit is on disk."""

    rows: Sequence[Row]
    refusal: StoreError | None


class VerdictLedger:
    """One ledger file. Any number of processes may have it open; each row's chain value covers all rows before it."""

    def __init__(self, path: Path) -> None:
        """Open the ledger, or make it. Raises StoreError where the file is something else or cannot be opened."""
        self.path = path
        with store_errors(path, "open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = connect(path)
        self._waiting: deque[_Unit] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what was begun, then close the file. Closing twice is allowed."""
        self._thread.shutdown(wait=True)
        self._db.close()

    async def append(self, *verdicts: Verdict) -> None:
        """Return when all verdicts are on disk; appends that arrive together share one commit.

        A verdict that is there already is a no-op. Raises StoreError, with nothing of this call stored, where the
        same id has other content or the file cannot be written.
        """
        rows = [Row(verdict.id, verdict.episode_id, canonical_json(verdict)) for verdict in verdicts]
        unit = _Unit(rows, StoreError(f"{self.path}: was not written"))
        self._waiting.append(unit)
        # Whichever job commits the unit, this one ends after it: one thread does them in order.
        await self._in_thread(self._commit_waiting)
        if unit.refusal is not None:
            raise StoreError(str(unit.refusal), retryable=unit.refusal.retryable) from unit.refusal

    async def scores(
        self,
        split: Split,
        episode_ids: Sequence[str],
        *,
        reader: Reader,
        judge: str | None = None,
        attempt_ids: Collection[str] | None = None,
    ) -> dict[str, float | None]:
        """The score of each episode that was judged; None: the judge could not say. Numbers only.

        `judge` (a revision) and `attempt_ids` say which verdict counts where an episode has several. Raises
        FirewallBreach for a split that `reader` may not see and for an episode of another split, UsageError where
        an episode still has two verdicts, StoreError.
        """
        found: dict[str, Verdict] = {}
        for verdict in await self._read(split, episode_ids, reader):
            if judge not in (None, verdict.judge) or (
                attempt_ids is not None and verdict.attempt_id not in attempt_ids
            ):
                continue
            other = found.setdefault(verdict.episode_id, verdict)
            if other is not verdict:
                both = " and ".join(f"attempt {one.attempt_id} by {one.judge}" for one in (other, verdict))
                raise UsageError(f"episode {verdict.episode_id} has two verdicts: {both}; say which counts")
        return {id: found[id].score for id in episode_ids if id in found}

    async def attempt_scores(
        self, split: Split, episode_ids: Sequence[str], *, reader: Reader, judge: str
    ) -> dict[str, float | None]:
        """The score of each attempt of these episodes that this judge scored, by attempt id. Numbers only.

        A recorded tree has a verdict on every attempt. Raises FirewallBreach and StoreError as `scores` does.
        """
        read = await self._read(split, episode_ids, reader)
        return {verdict.attempt_id: verdict.score for verdict in read if verdict.judge == judge}

    async def _read(self, split: Split, episode_ids: Sequence[str], reader: Reader) -> list[Verdict]:
        if split not in MAY_READ.get(reader, frozenset()):
            raise FirewallBreach(f"{reader} may not read verdicts on the {split} split")
        bodies = await self._in_thread(lambda: bodies_of_episodes(self._db, episode_ids), "read")
        verdicts = [self._verdict(body) for body in bodies]
        for verdict in verdicts:
            if verdict.split != split:
                raise FirewallBreach(f"episode {verdict.episode_id} is of the {verdict.split} split, not {split}")
        return verdicts

    async def held(self, id: str) -> Verdict | None:
        """The verdict of that id: for `judges/scoring.py`, which asks no judge twice. Raises StoreError."""
        body = await self._in_thread(lambda: body_of(self._db, id), "read")
        return None if body is None else self._verdict(body)

    async def verify(self) -> Head:
        """Walk the chain to its end. Raises StoreError naming the first row that was edited, deleted or inserted."""
        return await self._in_thread(lambda: walk(self._db, self.path), "verify")

    async def _in_thread(self, work: Callable[[], T], doing: str = "append") -> T:
        try:
            job = self._thread.submit(work)
        except RuntimeError as error:
            raise StoreError(f"{self.path}: is closed") from error
        with store_errors(self.path, doing):
            return await asyncio.shield(asyncio.wrap_future(job))

    def _commit_waiting(self) -> None:
        units: list[_Unit] = []
        while self._waiting:
            units.append(self._waiting.popleft())
        if not units:
            return
        refusals: Sequence[StoreError | None]
        try:
            with store_errors(self.path, "append"), transaction(self._db):
                refusals = [self._store(unit.rows) for unit in units]
        except StoreError as error:
            refusals = [error] * len(units)
        for unit, refusal in zip(units, refusals, strict=True):
            unit.refusal = refusal

    def _store(self, rows: Sequence[Row]) -> StoreError | None:
        """Add what is new of one unit, or say why all of it is refused."""
        fresh: dict[str, Row] = {}
        for row in rows:
            known = body_of(self._db, row.id)
            if known is None:
                known = fresh.setdefault(row.id, row).body
            if known != row.body:
                return StoreError(f"{self.path}: verdict {row.id} is there already with other content")
        extend(self._db, fresh.values())
        return None

    def _verdict(self, body: str) -> Verdict:
        try:
            return Verdict.model_validate_json(body)
        except ValidationError as error:
            raise StoreError(f"{self.path}: a row is not a verdict: was it edited?") from error
