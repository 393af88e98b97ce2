"""Recordings into a corpus and the ledger beside it, all or nothing.

Everything is read and checked first, then read again and appended. A kill in between leaves a part of it, which is
whole episodes: appending what is there is a no-op, so that importing again completes it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controllers.corpus import SqliteCorpus
from controllers.corpus.schema import AnyRecord
from experiments.importing import Given, Source
from experiments.importing.building import Imported, imported
from experiments.importing.reading import at
from experiments.places import ledger_beside, require_usable
from judges.ledger import VerdictLedger
from judges.records import Verdict
from signatures.digest import digest_of
from signatures.errors import StoreError, UsageError
from signatures.records import Attempt

BATCH: Final = 64
"""Episodes that are appended together."""


@dataclass
class Brought:
    """What an import found and added, and what the source does not carry."""

    files: int = 0
    episodes: int = 0
    attempts: int = 0
    tasks: int = 0
    verdicts: int = 0
    new: int = 0
    "attempts that the corpus did not hold"
    twice: int = 0
    "episodes that the source holds more than once, equal in all"
    censored: int = 0
    "attempts that infrastructure ended: never scored"
    without_score: int = 0
    without_cost: int = 0
    "attempts with neither tokens nor money"
    without_state: int = 0
    without_propensities: int = 0
    "episodes"

    def line(self, source: Path, corpus: Path) -> str:
        """What was brought, for people."""
        twice = f", {self.twice:,} more were there twice" if self.twice else ""
        ended = f", {self.censored:,} ended by infrastructure" if self.censored else ""
        return (
            f"{source} is in {corpus}: {self.attempts:,} attempts of {self.tasks:,} tasks "
            f"({self.new:,} new{twice}{ended}), {self.verdicts:,} verdicts"
        )

    def lacks(self) -> str:
        """What the source does not say, empty where it says everything."""
        parts = [
            f"{what} ({count:,} of {total:,} {unit})"
            for what, count, total, unit in (
                ("propensities", self.without_propensities, self.episodes, "episodes"),
                ("scores", self.without_score, self.attempts - self.censored, "attempts"),
                ("tokens or money", self.without_cost, self.attempts, "attempts"),
                ("states", self.without_state, self.attempts, "attempts"),
            )
            if count
        ]
        return f"not in the source, and left empty: {', '.join(parts)}" if parts else ""


async def bring(source: Source, path: Path, corpus: Path, given: Given) -> Brought:
    """Append the recordings of a file, or of a folder's files, to the corpus at `corpus`, made where there is none.

    Raises UsageError, with nothing appended, for what is malformed, for a source that scores one attempt in two ways,
    or otherwise than an earlier import; StoreError where a file changes meanwhile, or the disk fails.
    """
    files = files_of(source, path)
    require_usable(corpus)
    before = [_stamp(file) for file in files]
    found = await _check(source, files, corpus, given)
    if [_stamp(file) for file in files] != before:
        raise StoreError(f"{path}: was changed while it was read; nothing is imported")
    async with AsyncExitStack() as stack:
        stored = await stack.enter_async_context(SqliteCorpus(corpus))
        ledger = stack.enter_context(VerdictLedger(ledger_beside(corpus))) if found.verdicts else None
        batch: list[Imported] = []
        for _, one in _imported(source, files, given):
            batch.append(one)
            if len(batch) >= BATCH:
                await _append(batch, stored, ledger)
                batch = []
        await _append(batch, stored, ledger)
    return found


def files_of(source: Source, path: Path) -> list[Path]:
    """The file, or the files of a folder whose names the format has. Raises UsageError where there is none."""
    if path.is_dir():
        found = sorted({file for pattern in source.patterns for file in path.rglob(pattern) if file.is_file()})
        if not found:
            raise UsageError(f"{path}: holds no file named {' or '.join(source.patterns)}")
        return found
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    return [path]


async def _check(source: Source, files: list[Path], corpus: Path, given: Given) -> Brought:
    """Read everything once; what the corpus will hold is counted."""
    found, seen, tasks = Brought(files=len(files)), dict[str, str](), set[str]()
    async with _stored(corpus) as (stored, ledger):
        for place, one in _imported(source, files, given):
            scores = digest_of([verdict.model_dump(mode="json") for verdict in one.verdicts])
            known = seen.setdefault(one.episode.id, scores)
            if known != scores:
                raise UsageError(f"{place}: is scored otherwise than the same attempt before it")
            for verdict in one.verdicts:
                await _require_same(verdict, ledger, place)
            if len(seen) > found.episodes:
                tasks.add(one.task.digest)
                await _count(found, one, stored)
            else:
                found.twice += 1
    found.tasks = len(tasks)
    if not found.episodes:
        raise UsageError(f"{files[0] if len(files) == 1 else files[0].parent}: holds no recording")
    return found


async def _count(found: Brought, one: Imported, stored: SqliteCorpus | None) -> None:
    found.episodes += 1
    found.attempts += len(one.attempts)
    found.verdicts += len(one.verdicts)
    judged = {verdict.attempt_id for verdict in one.verdicts if verdict.score is not None}
    for attempt in one.attempts:
        cost = attempt.cost
        found.new += stored is None or await stored.get(Attempt, attempt.id) is None
        found.censored += attempt.failure is not None
        found.without_score += attempt.failure is None and attempt.id not in judged
        found.without_cost += {cost.tokens_in, cost.tokens_out, cost.usd} == {None}
        found.without_state += attempt.state_digest is None
    found.without_propensities += not one.decisions


async def _require_same(verdict: Verdict, ledger: VerdictLedger | None, place: str) -> None:
    held = None if ledger is None else await ledger.held(verdict.id)
    if held is not None and held != verdict:
        raise UsageError(f"{place}: is scored otherwise than when it was imported before; the ledger is append-only")


def _imported(source: Source, files: list[Path], given: Given) -> Iterator[tuple[str, Imported]]:
    for file in files:
        for place, recording in source.recordings(file, given):
            with at(place):
                built = imported(recording)
            yield place, built


@asynccontextmanager
async def _stored(corpus: Path) -> AsyncIterator[tuple[SqliteCorpus | None, VerdictLedger | None]]:
    """What is there already; nothing is made."""
    async with AsyncExitStack() as stack:
        beside = ledger_beside(corpus)
        stored = await stack.enter_async_context(SqliteCorpus.open_readonly(corpus)) if _is_there(corpus) else None
        yield stored, stack.enter_context(VerdictLedger(beside)) if _is_there(beside) else None


def _is_there(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


async def _append(batch: list[Imported], corpus: SqliteCorpus, ledger: VerdictLedger | None) -> None:
    records: list[AnyRecord] = []
    for one in batch:
        records += [*one.attempts, *one.decisions, one.episode]
    await corpus.append(*records, blobs=[blob for one in batch for blob in one.blobs])
    verdicts = [verdict for one in batch for verdict in one.verdicts]
    if ledger is not None and verdicts:
        await ledger.append(*verdicts)


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error}") from error
    return found.st_size, found.st_mtime_ns
