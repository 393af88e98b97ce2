"""Confirming: what the search found by replay is attempted live, with fresh seeds, and the front decided on that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.table import Table

from experiments.search.confirmed import Confirmed, Pair
from experiments.search.job import Job, progress_bar
from experiments.search.narrator import interval_of
from experiments.search.report import by_task
from experiments.search.searching import Searched
from experiments.search.stages import evaluator_of
from optimizers.archive import Archive
from optimizers.evaluator import Evaluator, Request
from optimizers.intervals import Interval, paired_interval
from optimizers.records import TaskScore
from optimizers.replay.estimates import widened
from optimizers.search import Found
from optimizers.vectors import entry_of
from signatures.digest import seed_of
from signatures.errors import InfraError
from signatures.records import Candidate, Objective

Scores = tuple[TaskScore, ...]
SHOWN: Final = ("offline", "live")


@dataclass(frozen=True)
class Front:
    """What one search is left with once its candidates were attempted live."""

    members: Mapping[str, Candidate]
    "not dominated on live values, the best on the primary objective first"
    confirmed: tuple[Confirmed, ...]
    "one for each candidate that was attempted, members or not"


def confirmer(job: Job) -> Evaluator:
    """The evaluator of the stage: the search split, no replay, no limit, since `confirm` bounds what it asks for."""
    return evaluator_of(job.wired, split="search", namespace="confirm")


def finalists(searched: Searched, explored: Sequence[Found], *, most: int) -> list[Found]:
    """What is worth live attempts: the front, the start, and what the record could not say; each candidate once.

    Of a front of more than `most` members the best on the primary objective.
    """
    chosen: dict[str, Found] = {}
    for one in (*searched.front[:most], searched.start, *explored):
        chosen.setdefault(one.candidate.digest, one)
    return list(chosen.values())


async def confirm(job: Job, evaluator: Evaluator, search: str, found: Sequence[Found]) -> Front:
    """Run each candidate on the val tasks with seeds that nothing else used; log both estimates; keep the front.

    A candidate of which infrastructure left no value is missing, not worse. Raises InfraError where all are.
    """
    objectives = job.wired.benchmark.objectives
    archive = Archive(objectives)
    names: dict[str, Found] = {}
    confirmed: list[Confirmed] = []
    with progress_bar(job.console, f"{search}: confirm {len(found)} candidates live", len(found)) as step:
        for one in found:
            live = await _attempted(job, evaluator, one.candidate)
            confirmed.append(confirmation(search, one, live, objectives))
            job.log.emit(confirmed[-1])
            step()
            try:
                archive.add(entry_of(live, objectives, generation=one.generation))
                names[one.candidate.digest] = one
            except InfraError as error:
                job.say(f"{one.name} is not confirmed: {error}")
    if not names:
        raise InfraError(f"{search}: none of {len(found)} candidates could be confirmed")
    members = [names[entry.candidate] for entry in archive.front()]
    return Front({one.name: one.candidate for one in members}, tuple(confirmed))


async def _attempted(job: Job, evaluator: Evaluator, candidate: Candidate) -> Scores:
    seed = seed_of("confirm", job.config.seed)
    scored = await evaluator.evaluate(Request(candidate, job.wired.splits.val, seed=seed))
    return tuple(one.score for one in scored)


def confirmation(search: str, found: Found, live: Scores, objectives: Sequence[Objective]) -> Confirmed:
    """Both estimates of one candidate. Only tasks that were replayed are predicted: what was live then is no test."""
    replayed = [score for score in found.scores if score.source == "replay" and not score.set_aside]
    of = replayed or found.scores
    unsupported = sum(score.unsupported for score in of) / max(1, len(of))
    return Confirmed(
        name=found.name,
        search=search,
        digest=found.candidate.digest,
        tasks=len(live),
        replayed=len(replayed),
        unsupported=unsupported,
        attempts=sum(score.spent.attempts or 0 for score in live),
        values={one.name: _pair(one.name, replayed, live, unsupported) for one in objectives},
    )


def _pair(objective: str, replayed: Sequence[TaskScore], live: Scores, unsupported: float) -> Pair:
    realised = _known(live, objective)
    both = _known(replayed, objective) & realised if replayed else realised
    predicted = interval_of([score for score in replayed if score.task_digest in both], objective)
    seen = interval_of([score for score in live if score.task_digest in both], objective)
    lo, hi = _widened(predicted, unsupported)
    gap = paired_interval(by_task(replayed, objective), by_task(live, objective)) if replayed else None
    return Pair(
        n=len(both),
        offline=predicted.mean,
        offline_lo=lo,
        offline_hi=hi,
        live=seen.mean,
        live_lo=seen.lo,
        live_hi=seen.hi,
        gap_lo=None if gap is None else gap.lo,
        gap_hi=None if gap is None else gap.hi,
    )


def _known(scores: Sequence[TaskScore], objective: str) -> set[str]:
    return {score.task_digest for score in scores if score.values.get(objective) is not None}


def _widened(interval: Interval, unsupported: float) -> tuple[float | None, float | None]:
    if interval.mean is None:
        return None, None
    bound = widened(interval.mean, interval.lo, interval.hi, unsupported)
    return bound.lo, bound.hi


def table_of(confirmed: Sequence[Confirmed], objectives: Sequence[Objective]) -> Table:
    """Offline estimate above live result of each candidate; a star where the live mean left the offline interval."""
    title = "search split, val tasks: replayed, and attempted live with fresh seeds (* outside the offline interval)"
    table = Table(title=title, title_justify="left")
    for name in ("controller", "", "n", "unsupported"):
        table.add_column(name, no_wrap=True, justify="right" if name in ("n", "unsupported") else "left")
    for objective in objectives:
        table.add_column(objective.name, justify="right", no_wrap=True)
    for one in confirmed:
        first = next(iter(one.values.values())).n
        for where in SHOWN:
            lead = ("", where, "", "")
            if where == "offline":
                lead = (one.name, where, str(first), f"{one.unsupported:.1%}")
            table.add_row(*lead, *(_cell(one.values[objective.name], where, first) for objective in objectives))
        table.add_section()
    return table


def _cell(pair: Pair, where: str, n: int) -> str:
    mean, lo, hi = (getattr(pair, f"{where}{end}") for end in ("", "_lo", "_hi"))
    if mean is None:
        return "-"
    other = "" if pair.n == n else f" n={pair.n}"
    star = "*" if where == "live" and pair.covered is False else ""
    return f"{mean:.3f}{star}{other}" if lo is None else f"{mean:.3f}{star} [{lo:.2f}, {hi:.2f}]{other}"
