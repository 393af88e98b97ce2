"""pass^k and random@k of recorded fresh attempts, from a corpus and its ledger, and what else cannot be said."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import comb
from pathlib import Path
from typing import Final, NamedTuple

from experiments.corpus.looking import existing
from experiments.places import ledger_beside
from signatures.errors import NoSupport, UsageError
from signatures.records import Attempt, Episode, Split

TOLERANCE: Final = 1e-6
"""A score this much below the mark passes: sums of parts are rarely exact."""
MOST: Final = 8


class Trials(NamedTuple):
    """A task's judged fresh attempts."""

    attempts: int
    passes: int


@dataclass(frozen=True)
class Row:
    """Means over the tasks with at least k judged attempts, with 95 % intervals over tasks."""

    k: int
    pass_k: float
    "the chance that all of k attempts pass"
    pass_k_interval: tuple[float | None, float | None]
    random_k: float
    "the chance that one of k attempts passes"
    random_k_interval: tuple[float | None, float | None]
    tasks: int


@dataclass(frozen=True)
class PassTable:
    """One worker on one benchmark."""

    benchmark: str
    worker: str
    judge: str
    tasks: int
    attempts: int
    unscored: int
    "fresh attempts without a verdict that says a number"
    rows: tuple[Row, ...]
    unknown: tuple[str, ...]
    "what this record cannot answer, and why"

    def json(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)


async def pass_tables(
    path: Path, *, judge: str | None = None, k: int | None = None, mark: float = 1.0, split: Split = "search"
) -> list[PassTable]:
    """A table for each benchmark and worker of a split. `judge`: whose verdicts; None: those that were imported.

    `mark` is the score from which on an attempt passes; `k` the largest k, None as far as all tasks reach. Raises
    UsageError, StoreError, NoSupport where no task has k judged attempts.
    """
    from controllers.corpus import SqliteCorpus
    from experiments.importing.building import JUDGE
    from judges.ledger import VerdictLedger

    judge = judge or JUDGE
    beside = ledger_beside(existing(path))
    if not beside.is_file():
        raise UsageError(f"{path}: there is no ledger {beside.name} beside it, so no attempt is scored")
    async with SqliteCorpus.open_readonly(path) as corpus:
        episodes = [one async for one in corpus.scan(Episode, {"split": split})]
        ids = {one.id for one in episodes}
        attempts = [one async for one in corpus.scan(Attempt) if one.episode_id in ids]
    with VerdictLedger(beside) as ledger:
        scores = await ledger.attempt_scores(split, [*ids], reader="report", judge=judge)
    groups: defaultdict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        groups[attempt.benchmark, _named(attempt)].append(attempt)
    if not groups:
        raise UsageError(f"{path}: holds no episode of the {split} split")
    asked = _Asked(scores, {one.id for one in episodes if one.decision_ids}, judge, mark, k)
    tables = [_table(name, held, asked) for name, held in sorted(groups.items())]
    if not any(table.rows for table in tables):
        raise NoSupport(f"{path}: no fresh attempt has a score of {judge}")
    return tables


def pass_hat_k(n: int, c: int, k: int) -> float:
    """The chance that k of n recorded attempts, drawn without replacement, are all among the c passes.

    C(c, k) / C(n, k). Raises NoSupport where k > n. Source: Yao et al. 2024, "tau-bench", section 4 (pass^k).
    """
    if k > n:
        raise NoSupport(f"pass^{k} from {n} recorded attempts")
    return comb(c, k) / comb(n, k)


def shown(table: PassTable) -> list[str]:
    """A table for people."""
    lines = [
        f"{table.benchmark}, {table.worker}, scored by {table.judge}: {table.tasks:,} tasks, {table.attempts:,} fresh "
        f"attempts scored, {table.unscored:,} not",
        f"{'k':>2}  {'pass^k':<19}{'random@k':<19}tasks",
    ]
    for row in table.rows:
        cells = ((row.pass_k, row.pass_k_interval), (row.random_k, row.random_k_interval))
        text = "".join(f"{value:.3f} {_between(interval):<13}" for value, interval in cells)
        lines.append(f"{row.k:>2}  {text}{row.tasks}")
    return [*lines, *(f"cannot be said: {reason}" for reason in table.unknown)]


class _Asked(NamedTuple):
    """What all tables of a corpus are made with."""

    scores: Mapping[str, float | None]
    drawn: set[str]
    "episodes with recorded draws"
    judge: str
    mark: float
    k: int | None


def _table(name: tuple[str, str], attempts: Sequence[Attempt], asked: _Asked) -> PassTable:
    fresh = [one for one in attempts if _is_fresh(one)]
    known = [(one.task_digest, score) for one in fresh if (score := asked.scores.get(one.id)) is not None]
    made = Counter(task for task, _ in known)
    passed = Counter(task for task, score in known if score >= asked.mark - TOLERANCE)
    trials = {task: Trials(n, passed[task]) for task, n in sorted(made.items())}
    reach = (asked.k or min(MOST, *(one.attempts for one in trials.values()))) if trials else 0
    return PassTable(
        benchmark=name[0],
        worker=name[1],
        judge=asked.judge,
        tasks=len(trials),
        attempts=len(known),
        unscored=len(fresh) - len(known),
        rows=tuple(_row(trials, one) for one in range(1, reach + 1)),
        unknown=tuple(_unknown(attempts, asked.drawn)),
    )


def _row(trials: Mapping[str, Trials], k: int) -> Row:
    from optimizers.intervals import mean_interval
    from optimizers.replay.closed_form import random_at_k

    enough = {task: one for task, one in trials.items() if one.attempts >= k}
    if not enough:
        raise NoSupport(f"random@{k}: no task has {k} scored fresh attempts; the most is {_most(trials)}")
    random_T = [random_at_k(one.attempts, one.passes, k) for one in enough.values()]
    pass_T = [pass_hat_k(one.attempts, one.passes, k) for one in enough.values()]
    found = [mean_interval(dict(zip(enough, ([one] for one in held), strict=True))) for held in (pass_T, random_T)]
    hat, at = found
    return Row(
        k=k,
        pass_k=sum(pass_T) / len(pass_T),
        pass_k_interval=(hat.lo, hat.hi),
        random_k=sum(random_T) / len(random_T),
        random_k_interval=(at.lo, at.hi),
        tasks=len(enough),
    )


def _unknown(attempts: Sequence[Attempt], drawn: set[str]) -> list[str]:
    """What replay cannot answer from these attempts."""
    total, episodes = len(attempts), {one.episode_id for one in attempts}
    found = []
    if not any(one.parent_id for one in attempts):
        found.append("what going on from an attempt, or a steer, would have done: no attempt was refined")
    if bare := len(episodes - drawn):
        found.append(
            f"what another controller would have drawn: {bare:,} of {len(episodes):,} episodes have no propensities"
        )
    costless = sum({one.cost.tokens_in, one.cost.tokens_out, one.cost.usd} == {None} for one in attempts)
    if costless:
        found.append(f"what it would have cost: {costless:,} of {total:,} attempts have neither tokens nor money")
    if unchecked := sum(not one.checks for one in attempts):
        found.append(f"which attempt a checker would have kept: {unchecked:,} of {total:,} attempts have no checks")
    return found


def _is_fresh(attempt: Attempt) -> bool:
    return attempt.parent_id is None and attempt.steer.kind == "none" and attempt.failure is None


def _named(attempt: Attempt) -> str:
    worker = attempt.worker
    params = ", ".join(f"{name}={value}" for name, value in sorted(worker.params.items()))
    return " ".join(part for part in (worker.name, worker.model or "", f"({params})" if params else "") if part)


def _most(trials: Mapping[str, Trials]) -> int:
    return max(one.attempts for one in trials.values())


def _between(interval: tuple[float | None, float | None]) -> str:
    lo, hi = interval
    return "" if lo is None or hi is None else f"[{lo:.2f}, {hi:.2f}]"
