"""The episodes of one open read: baseline and candidate on the same tasks and seeds, played, judged, and as numbers.

The search's evaluator refuses the holdout. Here an open read of the ledger is what must be shown first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import Field

from controllers.loop import run_episode
from controllers.progress import ended_by_infrastructure
from controllers.retry import Breaker
from controllers.spec import Rollout
from judges.ledger import VerdictLedger
from judges.records import Verdict
from judges.scoring import judge_episode
from optimizers.gate.holdout import OpenRead
from optimizers.gate.spend import COMPUTE
from optimizers.scoring import episode_values, unselected_values
from optimizers.setup import Grant, Setup
from signatures.errors import UsageError
from signatures.records import Amounts, Candidate, Failure, Finite, Record, Task

ARMS: Final = ("baseline", "candidate")


@dataclass(frozen=True)
class Contender:
    """One side of a gate."""

    name: str
    candidate: Candidate
    grant: Grant

    def same_as(self, other: Contender) -> bool:
        """Whether both are one program with one cut of the budget, whatever they are called."""
        return (self.candidate.digest, self.grant) == (other.candidate.digest, other.grant)


class Played(Record):
    """What one episode came to. Without a failure it has a value for all that was measured."""

    arm: str
    task: str
    seed: int
    values: Mapping[str, Finite | None]
    "scaled, by objective"
    spent: Amounts
    excluded: int = Field(ge=0)
    "tries that infrastructure ended: left out, never scored"
    failure: Failure | None = None
    "why there is no verdict yet"


class _Job(NamedTuple):
    task: Task
    seed: int
    arm: str


async def play(
    read: OpenRead,
    setup: Setup,
    ledger: VerdictLedger,
    contenders: Mapping[str, Contender],
    *,
    tasks: Sequence[Task],
    seeds: Sequence[int],
) -> tuple[Played, ...]:
    """Every contender (by arm) on every task of the read with every seed; what the corpus holds is not run again.

    The arms take turns on each task, so that an outage meets all of them. An episode that infrastructure ended is
    returned with its failure, and is run again, with other draws, by the next call. Raises UsageError on a read that
    is closed and on tasks that are not the read's; Outage, StoreError.
    """
    if read.lock.closed:
        raise UsageError(f"slice {read.slice.name}: this read was closed; open it again")
    if sorted(task.digest for task in tasks) != sorted(read.slice.tasks):
        raise UsageError(f"slice {read.slice.name}: these are not its {len(read.slice.tasks)} tasks")
    breaker = Breaker(setup.breaker.limit)

    async def one(job: _Job) -> Played:
        contender = contenders[job.arm]
        parts = setup.parts(contender.candidate)
        spec = setup.spec(
            job.task, contender.candidate, condition=job.arm, split="holdout", seed=job.seed, grant=contender.grant
        )
        while await ended_by_infrastructure(spec, parts):
            spec = spec.model_copy(update={"repeat": spec.repeat + 1})
        rollout = await run_episode(spec, parts)
        return await _judged(job, rollout, setup, ledger, breaker=breaker, excluded=spec.repeat)

    jobs = [_Job(task, seed, arm) for task in tasks for seed in seeds for arm in contenders]
    return metered(await setup.executor.map(one, jobs))


def metered(played: Sequence[Played]) -> tuple[Played, ...]:
    """The episodes, each with 0 of what others measured and it did not.

    Both arms have one worker, so what only some episodes bill are the calls of a policy's model: those that measured
    nothing of it made none.
    """
    known = [name for name in COMPUTE if any(getattr(one.spent, name) is not None for one in played)]

    def whole(spent: Amounts) -> Amounts:
        return spent.model_copy(update={name: 0 for name in known if getattr(spent, name) is None})

    return tuple(one.model_copy(update={"spent": whole(one.spent)}) for one in played)


async def _judged(
    job: _Job, rollout: Rollout, setup: Setup, ledger: VerdictLedger, *, breaker: Breaker, excluded: int
) -> Played:
    episode = rollout.episode
    values = unselected_values(rollout.history, episode.failure, setup.objectives)
    failure = episode.failure
    if rollout.output is not None and episode.selected_id is not None:
        verdict = await judge_episode(setup.judge, ledger, job.task, episode, rollout.output, retry=setup.retry)
        if isinstance(verdict, Verdict):
            breaker.succeeded()
            values = episode_values(rollout.history, episode.selected_id, verdict.score, setup.objectives)
        else:
            breaker.failed(verdict)
            failure = verdict
    return Played(
        arm=job.arm,
        task=job.task.digest,
        seed=job.seed,
        values=dict(values),
        spent=episode.spent,
        excluded=excluded + (episode.failure is not None),
        failure=failure,
    )


def values_of(played: Sequence[Played], arm: str, objective: str) -> dict[str, list[float | None]]:
    """Task -> the values of its repeats, in the order of the seeds."""
    found: dict[str, list[float | None]] = {}
    for one in played:
        if one.arm == arm:
            found.setdefault(one.task, []).append(one.values.get(objective))
    return found


def spent_of(played: Sequence[Played], arm: str) -> dict[str, list[Amounts]]:
    """Task -> what its repeats spent."""
    found: dict[str, list[Amounts]] = {}
    for one in played:
        if one.arm == arm:
            found.setdefault(one.task, []).append(one.spent)
    return found


def numbers_of(played: Sequence[Played]) -> dict[str, dict[str, list[float | None]]]:
    """All numbers that a decision rests on, for the ledger: `<arm> <objective>`, `<arm> excluded` and, where the arm
    measured it at all, `<arm> spent <resource>` -> task -> values of its repeats.
    """
    found: dict[str, dict[str, list[float | None]]] = {}
    for arm in dict.fromkeys(one.arm for one in played):
        for objective in next(one.values for one in played if one.arm == arm):
            found[f"{arm} {objective}"] = values_of(played, arm, objective)
        excluded = found.setdefault(f"{arm} excluded", {})
        for one in played:
            if one.arm == arm:
                excluded.setdefault(one.task, []).append(one.excluded)
        for name in COMPUTE:
            spent = {task: [getattr(a, name) for a in each] for task, each in spent_of(played, arm).items()}
            if any(value is not None for each in spent.values() for value in each):
                found[f"{arm} spent {name}"] = spent
    return found
