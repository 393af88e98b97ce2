"""Running a registered gate: read its slice once, decide on it, and leave the report.

The order is what makes it safe to kill: verdicts on disk, their numbers in the run folder, the read completed in the
ledger, then the report. A report that was lost after that is made again from these very numbers, without a new read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import Field, ValidationError

from controllers.corpus import SqliteCorpus
from controllers.executor import AsyncExecutor
from controllers.steers import steer_table
from experiments.config import merge
from experiments.events import FILE, SearchFinished, read_events
from experiments.gate.holdout.config import HoldoutConfig
from experiments.gate.holdout.register import (
    CONFIG,
    MANIFEST,
    REGISTRATION,
    Gate,
    gate_of,
    ledger_path,
    require_never_read,
    survey_of,
)
from experiments.gate.holdout.report import result_of
from experiments.gate.report import GateReport, publish
from experiments.places import ledger_beside
from experiments.whole_file import read_whole, write_whole
from experiments.wiring import revision_of
from judges.ledger import VerdictLedger
from judges.manifest import require_unchanged
from judges.probes import run_probes
from optimizers.gate.holdout import HoldoutLedger, verdicts_digest
from optimizers.gate.holdout_episodes import Played, numbers_of, play
from optimizers.gate.holdout_ledger import Opened
from optimizers.gate.registration import read as read_registration
from optimizers.gate.registration import require_same
from optimizers.setup import Setup
from signatures.errors import EvidenceError, StoreError, UsageError
from signatures.records import Record

CORPUS: Final = "holdout.db"
"""A corpus of the gate's own, so that nobody learns from holdout episodes."""
NUMBERS: Final = "numbers.json"
_LISTED: Final = 5


class Numbers(Record):
    """What a read's decision rests on; the ledger holds the digest of it."""

    played: tuple[Played, ...] = Field(min_length=1)


class Ended(NamedTuple):
    """A gate that was decided."""

    report: GateReport
    folder: Path
    tracked: str
    "one line on MLflow; empty without tracking"


def run_gate(registration: Path, *, said: Callable[[str], object] = lambda line: None) -> Ended:
    """Read the slice of a registration (its file, or the folder that it is in), decide, and write the report.

    Raises UsageError where anything differs from what was registered; HoldoutSpent; EvidenceError where something
    has no verdict yet, after which the same call goes on, and where the arms' exclusions refuse a decision; Outage,
    StoreError.
    """
    path = registration / REGISTRATION if registration.is_dir() else registration
    folder = path.absolute().parent
    gate = opened_gate(path)
    played = asyncio.run(_episodes(folder, gate, said))
    with HoldoutLedger(ledger_path(folder.parent, gate.survey.benchmark)) as ledger:
        head, opened = ledger.verify(), len(_openings(ledger, gate))
    report, refusal = result_of(gate, played, head, tries=opened)
    _, tracked = publish(folder, report, tracking=gate.survey.config.tracking)
    if refusal is not None:
        raise EvidenceError(f"{refusal}; the numbers without a decision are in {folder}")
    return Ended(report, folder, tracked)


def opened_gate(path: Path) -> Gate:
    """The gate of a registration file as it would be registered now.

    Raises UsageError naming each thing that differs from what was registered.
    """
    before = read_registration(path)
    if not (path.parent / CONFIG).is_file():
        raise UsageError(f"{path.parent}: is no folder of a registered gate, it has no {CONFIG}")
    survey = survey_of(merge(HoldoutConfig, path.parent / CONFIG), folder=path.parent)
    named = [slice for slice in survey.slices if slice.name == before.slice]
    gate = gate_of(survey, (named or survey.slices)[0])
    require_same(path, gate.registration)
    require_unchanged(path.parent / MANIFEST, gate.manifest)
    return gate


async def _episodes(folder: Path, gate: Gate, said: Callable[[str], object]) -> tuple[Played, ...]:
    """The read's episodes: played now, or kept from a read whose report was lost; none where both sides are one."""
    if gate.survey.candidate.same_as(gate.survey.baseline):
        return ()
    with HoldoutLedger(ledger_path(folder.parent, gate.survey.benchmark)) as ledger:
        require_never_read(ledger, gate.survey, but=gate.slice)
        kept = _kept(folder, gate, ledger)
        if kept is not None:
            said("the read is complete and its report was not: it is made from the numbers that were kept")
            return kept
        return await _read(folder, gate, ledger, said)


async def _read(folder: Path, gate: Gate, ledger: HoldoutLedger, said: Callable[[str], object]) -> tuple[Played, ...]:
    registered, benchmark, config = gate.registration, gate.survey.benchmark, gate.survey.config
    judge = benchmark.judge()
    await run_probes(judge, benchmark.probes())
    path = folder / CORPUS
    contenders = {"baseline": gate.survey.baseline, "candidate": gate.survey.candidate}
    with (
        ledger.open_read(
            gate.slice, candidate=registered.candidate, registration=registered.digest, at=datetime.now(UTC)
        ) as read,
        closing(SqliteCorpus(path)) as corpus,
        VerdictLedger(ledger_beside(path)) as verdicts,
    ):
        episodes = len(gate.tasks) * len(registered.seeds) * len(contenders)
        again = "" if read.tries == 1 else f", opened for the {read.tries}. time: what was recorded is not run again"
        said(f"{gate.slice.name}: {episodes} episodes on {len(gate.tasks)} tasks{again}")
        setup = _setup(gate, corpus)
        played = await play(read, setup, verdicts, contenders, tasks=gate.tasks, seeds=registered.seeds)
        _require_judged(played)
        require_unchanged(folder / MANIFEST, gate_of(survey_of(config, folder=folder), gate.slice).manifest)
        await run_probes(judge, benchmark.probes())
        write_whole(folder / NUMBERS, Numbers(played=played).model_dump_json() + "\n")
        ledger.complete(read, numbers_of(played), at=datetime.now(UTC), repeats=len(registered.seeds))
    return played


def _setup(gate: Gate, corpus: SqliteCorpus) -> Setup:
    survey = gate.survey
    benchmark = survey.benchmark
    return Setup(
        worker=survey.worker,
        checkers=benchmark.checkers(),
        judge=benchmark.judge(),
        objectives=benchmark.objectives,
        steers=steer_table(benchmark.directives, benchmark, survey.lm),
        observer=benchmark,
        corpus=corpus,
        grant=survey.candidate.grant,
        revision=revision_of(gate.manifest),
        lm=survey.lm,
        executor=AsyncExecutor(survey.config.concurrency),
    )


def _require_judged(played: tuple[Played, ...]) -> None:
    """Raises EvidenceError where infrastructure left an episode without a verdict."""
    failed = [one for one in played if one.failure is not None]
    if not failed:
        return
    by_arm = ", ".join(f"{sum(one.arm == arm for one in failed)} of {arm}" for arm in ("baseline", "candidate"))
    first = failed[0].failure
    tasks = ", ".join(dict.fromkeys(one.task for one in failed[:_LISTED]))
    raise EvidenceError(
        f"{len(failed)} of {len(played)} episodes have no verdict ({by_arm}), of tasks {tasks}"
        f"{' and more' if len(failed) > _LISTED else ''}; the first: {first.message if first else ''}. Nothing is"
        " concluded and the read stays open: run the same command again"
    )


def _kept(folder: Path, gate: Gate, ledger: HoldoutLedger) -> tuple[Played, ...] | None:
    """The numbers of this registration's own complete read, while its report is not finished. Raises StoreError."""
    ended = ledger.completed(gate.slice, candidate=gate.registration.candidate)
    there = (folder / NUMBERS).exists()
    if ended is None or not there or _reported(folder) or not _openings(ledger, gate):
        return None
    return numbers_in(folder, verdicts=ended.verdicts)


def numbers_in(folder: Path, *, verdicts: str) -> tuple[Played, ...]:
    """The numbers that a gate's folder keeps of its read. `verdicts`: their digest, as the ledger has it.

    Raises StoreError where there are none and where they are others.
    """
    text = read_whole(folder / NUMBERS)
    try:
        played = Numbers.model_validate_json(text or "").played
    except ValidationError as error:
        raise StoreError(f"{folder / NUMBERS}: cannot be read: {error.errors()[0]['msg']}") from error
    if verdicts_digest(numbers_of(played)) != verdicts:
        raise StoreError(f"{folder / NUMBERS}: holds other numbers than those that completed the read: it was edited")
    return played


def _openings(ledger: HoldoutLedger, gate: Gate) -> list[Opened]:
    """Each time that this registration's read was opened."""
    entries = (entry for entry in ledger.entries() if isinstance(entry, Opened))
    return [entry for entry in entries if entry.registration == gate.registration.digest]


def _reported(folder: Path) -> bool:
    log = folder / FILE
    return log.is_file() and any(isinstance(event.body, SearchFinished) for event in read_events(log))
