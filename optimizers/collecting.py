"""Recording a corpus for replay: per task a tree of fresh attempts and of refinements under every action."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from controllers.attempting import Launched, attempt
from controllers.deciding import Turn
from controllers.executor import together
from controllers.history import Seen
from controllers.loop import record
from controllers.observe import lineage
from controllers.progress import Progress
from controllers.selector import select
from controllers.spec import EpisodeSpec, Parts
from controllers.steers import Steerer
from signatures.digest import seed_of
from signatures.records import Amounts, Episode, Steer


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
        levels = [len(self.actions) ** level for level in range(self.depth)]
        return self.roots * int(sum(levels))


async def collect(spec: EpisodeSpec, parts: Parts, plan: CollectPlan) -> tuple[Episode, list[Seen], dict[str, str]]:
    """Grow the tree of one task; what the corpus already holds of it is recalled. Returns outputs by attempt id.

    The steers are forced by the plan and not drawn, so no decision is recorded and no propensity claimed.
    An attempt whose checker of `correct` passed is not refined: no controller of the default space would.
    """
    granted = Amounts(attempts=plan.most_attempts)
    progress = await Progress.open(spec.model_copy(update={"granted": granted}), parts)
    level: list[Seen] = await _grow(progress, parts, None, [Steer()] * plan.roots)
    for _ in range(plan.depth - 1):
        children: list[Seen] = []
        for parent in level:
            correct = parent.attempt.check("correct")
            if parent.attempt.outcome == "infra_error" or (correct is not None and correct.passed):
                continue
            path = lineage(progress.history, parent.attempt.id)
            steers = [await _steer(parts.steers[a], spec, path) for a in plan.actions]
            children += await _grow(progress, parts, parent, steers)
        level = children
    chosen = select(progress.history)
    episode = progress.close((), None if chosen is None else chosen.attempt, parts)
    await parts.corpus.append(episode)
    return episode, progress.history, dict(progress.outputs)


async def _grow(progress: Progress, parts: Parts, parent: Seen | None, steers: Sequence[Steer]) -> list[Seen]:
    first = len(progress.history)
    launches = [attempt(progress, parts, parent, steer, index=first + n) for n, steer in enumerate(steers)]
    launched: list[Launched] = await together(launches)
    await record(progress, parts, Turn(()), launched)
    return [one.seen for one in launched]


async def _steer(steerer: Steerer, spec: EpisodeSpec, path: Sequence[Seen]) -> Steer:
    seed = seed_of("steer", spec.seed, spec.task.digest, path[-1].attempt.id)
    steer, _ = await steerer.steer(spec.task, path, seed)
    return steer
