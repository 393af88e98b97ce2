"""Recording a corpus for replay: per task a tree of fresh attempts and of refinements under every action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from controllers.attempting import Launched, attempt, blob_text
from controllers.baselines import seed_candidate
from controllers.deciding import Turn
from controllers.executor import together
from controllers.history import Seen
from controllers.loop import record
from controllers.observe import lineage
from controllers.progress import Progress
from controllers.retry import with_retries
from controllers.selector import select
from controllers.spec import EpisodeSpec, Parts
from optimizers.setup import Grant, Setup
from signatures.digest import seed_of
from signatures.errors import UsageError
from signatures.records import Amounts, Attempt, Cost, Episode, Failure, Record, Steer, Task

COLLECT: Final = "collect "
"""What the conditions of all recorded trees and of what is bought for them begin with."""

Collected = tuple[Episode, list[Seen], dict[str, str]]
"""An episode, its attempts, and their outputs by id."""


class CollectPlan(BaseModel):
    """How one task's tree grows: `roots` fresh attempts, then each unsolved attempt under each action, to `depth`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roots: int = Field(ge=1)
    depth: int = Field(ge=1)
    "attempts in the longest lineage"
    actions: tuple[str, ...]

    @property
    def most_attempts(self) -> int:
        """Attempts per task if nothing is ever solved."""
        return self.roots * self.most_from(1)

    @property
    def condition(self) -> str:
        """Plans of one size but another shape are other episodes."""
        return f"{COLLECT}{self.roots}x{self.depth}"

    @property
    def top_up(self) -> str:
        """The condition of what is bought for trees of this depth."""
        return f"{COLLECT}top-up x{self.depth}"

    def most_from(self, depth: int) -> int:
        """Attempts of one branch that begins at `depth` (1: a root) if nothing is ever solved."""
        return int(sum(len(self.actions) ** level for level in range(self.depth - depth + 1)))


class Purchase(Record):
    """One attempt to be added to a task's tree, and grown to the tree's depth where it fails."""

    task_digest: str
    parent_id: str | None
    "None: a fresh attempt"
    action: str
    depth: int = Field(ge=1)
    repeat: int = Field(default=0, ge=0)
    "how many were bought before of this parent under this action"


def tree_spec(setup: Setup, task: Task, plan: CollectPlan, *, repeat: int = 0) -> EpisodeSpec:
    """The episode that records the tree of `task`; `repeat` is raised for what infrastructure spoilt."""
    return _spec(setup, task, plan, condition=plan.condition, most=plan.most_attempts).model_copy(
        update={"seed": seed_of("collect"), "repeat": repeat}
    )


def purchase_spec(setup: Setup, task: Task, plan: CollectPlan, purchase: Purchase) -> EpisodeSpec:
    """The episode of one purchase: a function of the parent, the action and how many there were before."""
    seed = seed_of("collect top-up", purchase.parent_id, purchase.action)
    return _spec(setup, task, plan, condition=plan.top_up, most=plan.most_from(purchase.depth)).model_copy(
        update={"seed": seed, "repeat": purchase.repeat}
    )


def _spec(setup: Setup, task: Task, plan: CollectPlan, *, condition: str, most: int) -> EpisodeSpec:
    grant = Grant(most, setup.grant.turns_per_attempt, plan.actions)
    spec = setup.spec(task, seed_candidate(), condition=condition, split="search", seed=0, grant=grant)
    return spec.model_copy(update={"granted": Amounts(attempts=most)})


def unsolved(attempt: Attempt) -> bool:
    """Whether an attempt is refined: it happened, and the checker of `correct` did not pass it."""
    correct = attempt.check("correct")
    return attempt.outcome != "infra_error" and not (correct is not None and correct.passed)


async def collect(spec: EpisodeSpec, parts: Parts, plan: CollectPlan) -> Collected:
    """Grow the tree of one task; what the corpus already holds of it is recalled. Returns outputs by attempt id.

    The steers are forced by the plan and not drawn, so no decision is recorded and no propensity claimed.
    An attempt whose checker of `correct` passed is not refined: no controller of the default space would. A steer
    that cannot be had spoils the tree, as an attempt that did not happen does: its episode carries the failure.
    """
    granted = Amounts(attempts=plan.most_attempts)
    progress = await Progress.open(spec.model_copy(update={"granted": granted}), parts)
    roots = await _grow(progress, parts, None, [(Steer(), Cost())] * plan.roots)
    return await _finished(progress, parts, plan, roots, above=())


async def buy(spec: EpisodeSpec, parts: Parts, plan: CollectPlan, action: str, *, above: Sequence[Seen]) -> Collected:
    """Add one attempt to a recorded tree, and below it what the plan would grow there.

    `above` is the lineage of the parent, root first; empty for a fresh attempt. A node without children would take
    support from every candidate that goes on from it: so one that fails gets its children at once.
    """
    progress = await Progress.open(spec, parts)
    level: list[Seen] | None
    if not above:
        level = await _grow(progress, parts, None, [(Steer(), Cost())])
    else:
        parent = above[-1].attempt
        if parent.state_digest is not None:
            progress.states[parent.id] = await blob_text(parts, parent.state_digest)
        level = await _children(progress, parts, above, (action,))
    return await _finished(progress, parts, plan, level, above=above)


async def _finished(
    progress: Progress, parts: Parts, plan: CollectPlan, level: list[Seen] | None, *, above: Sequence[Seen]
) -> Collected:
    """Grow `level`, which stands below `above`, to the depth of the plan, and record the episode."""
    for _ in range(plan.depth - len(above) - 1):
        level = None if level is None else await _next_level(progress, parts, plan, level, above=above)
    chosen = select(progress.history)
    episode = progress.close((), None if chosen is None else chosen.attempt, parts)
    await parts.corpus.append(episode)
    return episode, progress.history, dict(progress.outputs)


async def _next_level(
    progress: Progress, parts: Parts, plan: CollectPlan, level: Sequence[Seen], *, above: Sequence[Seen]
) -> list[Seen] | None:
    """The children of all of `level`; None where a steer could not be had: nothing is grown after that."""
    found: list[Seen] = []
    for parent in level:
        if not unsolved(parent.attempt):
            continue
        path = lineage([*above, *progress.history], parent.attempt.id)
        children = await _children(progress, parts, path, plan.actions)
        if children is None:
            return None
        found += children
    return found


async def _children(
    progress: Progress, parts: Parts, path: Sequence[Seen], actions: Sequence[str]
) -> list[Seen] | None:
    """One child of the last of `path` under each action; None where a steer cannot be had."""
    first = len(progress.history)
    steers: list[tuple[Steer, Cost]] = []
    for offset, action in enumerate(actions):
        steer = await _steer(progress, parts, path, action, index=first + offset)
        if isinstance(steer, Failure):
            progress.failure = progress.failure or steer
            return None
        steers.append(steer)
    for _, cost in steers:
        progress.budget.charge(cost)
    return await _grow(progress, parts, path[-1], steers)


async def _grow(
    progress: Progress, parts: Parts, parent: Seen | None, steers: Sequence[tuple[Steer, Cost]]
) -> list[Seen]:
    first = len(progress.history)
    launches = [
        attempt(progress, parts, parent, steer, index=first + n, steer_cost=cost)
        for n, (steer, cost) in enumerate(steers)
    ]
    launched: list[Launched] = await together(launches)
    await record(progress, parts, Turn(()), launched)
    return [one.seen for one in launched]


async def _steer(
    progress: Progress, parts: Parts, path: Sequence[Seen], action: str, *, index: int
) -> tuple[Steer, Cost] | Failure:
    """The steer of the attempt at `index`; a recorded one is not made again, since a model would write another."""
    recorded = progress.recorded_attempt(index)
    if recorded is not None:
        return recorded.steer, recorded.steer_cost
    if progress.recorded_failure is not None:
        return progress.recorded_failure
    steerer, task = parts.steers.get(action), progress.spec.task
    if steerer is None:
        raise UsageError(f"no steer is called {action!r}; there are {', '.join(parts.steers)}")
    seed = seed_of("steer", progress.spec.seed, task.digest, path[-1].attempt.id)

    async def made() -> tuple[Steer, Cost]:
        parts.breaker.check()
        steer, cost = await steerer.steer(task, path, seed)
        return steer.encodable(), cost

    answer = await with_retries(made, f"steer {action}", parts.retry)
    if isinstance(answer, Failure):
        parts.breaker.failed(answer)
    return answer
