"""Arms at equal compute on the same tasks and seeds, and what each pair of them says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from controllers.baselines import Arm
from controllers.retry import Breaker
from experiments.gate.report import Contrast, Excluded
from experiments.search.stages import Step, evaluator_of, score_arm
from experiments.wiring import Wired
from optimizers.gate.decide import Question, decide
from optimizers.gate.evidence import evidence_of
from optimizers.gate.families import with_q
from optimizers.gate.paired import Pairs, Values, pairs_of
from optimizers.gate.records import Evidence
from optimizers.gate.spend import Spend, SpendByTask, cheaper, confounded, savings, spend_of, unequal_exclusions
from optimizers.records import TaskScore
from optimizers.setup import Grant
from signatures.errors import EvidenceError
from signatures.records import Amounts, Task

STEERING: Final = "steering"
MORE_COMPUTE: Final = "more compute"
FURTHER: Final = "further objectives"
ENOUGH_CLUSTERS: Final = 10
AGAIN: Final = 2
"""Times that an episode which infrastructure ended is run again before it is left out."""


@dataclass(frozen=True)
class Measured:
    """The evaluations of one arm: every task under every seed."""

    arm: Arm
    scores: tuple[tuple[TaskScore, ...], ...]
    "by seed, in the order of the tasks"

    @property
    def name(self) -> str:
        """The arm's."""
        return self.arm.name

    @property
    def grant(self) -> Grant:
        """What one of its episodes may spend."""
        return Grant(self.arm.attempts, self.arm.turns_per_attempt, self.arm.steer_legal)

    def values(self, objective: str) -> dict[str, list[float | None]]:
        """Task digest -> the value under each seed."""
        found: dict[str, list[float | None]] = {}
        for score in (one for repeat in self.scores for one in repeat):
            found.setdefault(score.task_digest, []).append(score.values.get(objective))
        return found

    @property
    def spent(self) -> SpendByTask:
        """Task digest -> what the episodes spent that infrastructure did not end."""
        found: dict[str, list[Amounts]] = {}
        for score in (one for repeat in self.scores for one in repeat):
            if score.failure is None:
                found.setdefault(score.task_digest, []).append(score.used)
        return found

    @property
    def spend(self) -> Spend:
        """The sum of it. Raises EvidenceError where infrastructure ended every episode."""
        if not self.spent:
            raise EvidenceError(f"arm {self.name}: infrastructure ended every episode, so nothing can be said of it")
        return spend_of(self.name, self.spent)

    @property
    def excluded(self) -> Excluded:
        """How many episodes infrastructure ended."""
        every = [score for repeat in self.scores for score in repeat]
        gone = sum(score.failure is not None for score in every)
        return Excluded(arm=self.name, excluded=gone, episodes=len(every))


@dataclass(frozen=True)
class Versus:
    """One planned comparison."""

    treatment: str
    control: str
    family: str
    matched: bool = True
    "both arms are granted the same compute, so that a larger spend confounds"

    @property
    def name(self) -> str:
        """Such as `refine@3/untried - placebo@3`."""
        return f"{self.treatment} - {self.control}"


@dataclass(frozen=True)
class Terms:
    """What was agreed before any task was run."""

    objectives: tuple[str, ...]
    "the primary one first"
    alpha: float = 0.025
    min_effect: float | None = None
    margins: Mapping[str, float] = field(default_factory=dict)
    "by further objective"
    clusters: Mapping[str, str] = field(default_factory=dict)
    "task digest -> the family that is the unit; empty: the task is"

    @property
    def primary(self) -> str:
        """The objective that decides."""
        return self.objectives[0]


class Group(NamedTuple):
    """Arms on the same tasks, and what is asked of them."""

    arms: Mapping[str, Measured]
    planned: Sequence[Versus]
    terms: Terms


async def measure(
    wired: Wired, arm: Arm, tasks: Sequence[Task], *, seeds: Sequence[int], namespace: str, step: Step
) -> Measured:
    """One arm on all tasks under all seeds, from the journal where it is known.

    What infrastructure ended is run again, a few times; what fails each time stays without values and is counted.
    Raises Outage where failures follow each other.
    """
    repeats = []
    for seed in seeds:
        found = {s.task_digest: s for s in await _asked(wired, arm, tasks, seed=seed, namespace=namespace)}
        for again in range(1, AGAIN + 1):
            failed = [task for task in tasks if found[task.digest].failure is not None]
            if failed:
                patient = _patient(wired, len(failed))
                more = await _asked(patient, arm, failed, seed=seed, namespace=f"{namespace}-again{again}")
                found |= {score.task_digest: score for score in more}
        repeats.append(tuple(found[task.digest] for task in tasks))
        step()
    return Measured(arm, tuple(repeats))


def _patient(wired: Wired, failed: int) -> Wired:
    """The same parts, with a breaker for work that failed before: that all of it fails again is no news."""
    breaker = Breaker(max(wired.setup.breaker.limit, failed + 1))
    return replace(wired, setup=replace(wired.setup, breaker=breaker))


async def _asked(wired: Wired, arm: Arm, tasks: Sequence[Task], *, seed: int, namespace: str) -> tuple[TaskScore, ...]:
    evaluator = evaluator_of(wired, split=split_of(wired, tasks), namespace=namespace)
    return await score_arm(evaluator, arm, tasks, seed=seed)


def split_of(wired: Wired, tasks: Sequence[Task]) -> Literal["search", "dev"]:
    """Where these tasks are from: gates take dev tasks, a table of arms may take those of the search split."""
    first = tasks[0].digest if tasks else ""
    return "search" if any(task.digest == first for task in wired.benchmark.tasks("search")) else "dev"


def clusters_of(families: Mapping[str, Sequence[str]], tasks: Sequence[Task]) -> dict[str, str]:
    """Task -> its family, where every task has exactly one and there are ten families or more; else nothing.

    Tasks of a family go together, so that it is the unit where there are enough; with two or three it would be
    worse than the task. Where families overlap there is no such unit.
    """
    found = {task.digest: families.get(task.digest, ()) for task in tasks}
    if any(len(names) != 1 for names in found.values()):
        return {}
    single = {digest: names[0] for digest, names in found.items()}
    return single if len(set(single.values())) >= ENOUGH_CLUSTERS else {}


def pairs_between(treatment: Measured, control: Measured, objective: str, clusters: Mapping[str, str]) -> Pairs:
    """Treatment and control paired by task and seed; a cluster is the mean of its tasks' means."""
    return paired_values(control.values(objective), treatment.values(objective), objective, clusters)


def paired_values(baseline: Values, candidate: Values, objective: str, clusters: Mapping[str, str]) -> Pairs:
    """As `pairs_of`, with clusters for units where there are any; what is missing stays counted by value."""
    pairs = pairs_of(objective, baseline, candidate)
    if not clusters:
        return pairs
    sides: tuple[dict[str, list[float]], dict[str, list[float]]] = ({}, {})
    for side, means_T in zip(sides, (pairs.baseline_T, pairs.candidate_T), strict=True):
        for task, mean in zip(pairs.tasks, means_T.tolist(), strict=True):
            side.setdefault(clusters[task], []).append(mean)
    first, second = ({name: [math.fsum(v) / len(v)] for name, v in side.items()} for side in sides)
    return replace(pairs_of(objective, first, second), missing=pairs.missing, pass_fail=False)


def contrasts_of(arms: Mapping[str, Measured], planned: Sequence[Versus], terms: Terms) -> tuple[Contrast, ...]:
    """Each planned comparison on the primary objective with its q and its decision.

    Raises EvidenceError where infrastructure took more episodes from one arm than chance does.
    """
    return contrasts_over([Group(arms, planned, terms)])[0]


def contrasts_over(groups: Sequence[Group]) -> tuple[tuple[Contrast, ...], ...]:
    """`contrasts_of` for several groups of arms, each on tasks of its own: a family is corrected over all of them."""
    found: dict[tuple[int, Versus], Evidence] = {}
    for number, (arms, planned, terms) in enumerate(groups):
        for versus in planned:
            require_equal_exclusion(arms[versus.treatment], arms[versus.control])
            found[number, versus] = _evidence(arms, versus, terms.primary, terms)
    for family in dict.fromkeys(versus.family for _, versus in found):
        found |= with_q({key: evidence for key, evidence in found.items() if key[1].family == family})
    return tuple(
        tuple(_contrast(arms, versus, found[number, versus], terms) for versus in planned)
        for number, (arms, planned, terms) in enumerate(groups)
    )


def further_contrasts(one: Contrast) -> tuple[Contrast, ...]:
    """The other objectives of a decided contrast: shown, each at its own p, in no family."""
    others = one.decided.evidence[1:] if one.decided else ()
    return tuple(one.model_copy(update={"family": FURTHER, "evidence": e, "decided": None}) for e in others)


def require_equal_exclusion(treatment: Measured, control: Measured) -> None:
    """Raises EvidenceError where infrastructure failures differ between the arms by more than chance."""
    a, b = treatment.excluded, control.excluded
    said = unequal_exclusions(a.excluded, a.episodes, b.excluded, b.episodes)
    if said:
        raise EvidenceError(f"{treatment.name} and {control.name} cannot be compared: {said}")


def _evidence(arms: Mapping[str, Measured], versus: Versus, objective: str, terms: Terms) -> Evidence:
    pairs = pairs_between(arms[versus.treatment], arms[versus.control], objective, terms.clusters)
    least = terms.min_effect if objective == terms.primary else None
    return evidence_of(pairs, alpha=terms.alpha, min_effect=least)


def _contrast(arms: Mapping[str, Measured], versus: Versus, primary: Evidence, terms: Terms) -> Contrast:
    treatment, control = arms[versus.treatment], arms[versus.control]
    others: list[Evidence] = []
    reasons: tuple[str, ...] = ()
    saved: tuple[str, ...] = ()  # of arms with unequal grants only the primary objective can be compared
    if versus.matched:
        others = [_evidence(arms, versus, objective, terms) for objective in terms.objectives[1:]]
        reasons = confounded(treatment.spend, control.spend)
        granted = Amounts(turns=control.grant.amounts.turns)
        saved = cheaper(savings(treatment.spent, control.spent, granted=granted, alpha=terms.alpha))
    question = Question(
        evidence=(primary, *others),
        margins=terms.margins if others else {},
        alpha=terms.alpha,
        min_effect=terms.min_effect,
        confounded=reasons,
        cheaper=bool(saved),
        same=treatment.arm.candidate.digest == control.arm.candidate.digest and treatment.grant == control.grant,
        excluded=_ended(treatment, control),
    )
    return Contrast(
        name=versus.name,
        family=versus.family,
        treatment=treatment.name,
        control=control.name,
        evidence=primary,
        decided=decide(question),
        confounded=reasons,
    )


def _ended(treatment: Measured, control: Measured) -> int:
    """Pairs of episodes of which infrastructure ended at least one: missing for a known and balanced reason."""
    return sum(
        a.failure is not None or b.failure is not None
        for ours, theirs in zip(treatment.scores, control.scores, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )
