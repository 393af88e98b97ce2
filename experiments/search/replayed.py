"""A run on a recording: its worker can attempt nothing, so every value is replayed from recorded trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from controllers.baselines import Arm
from controllers.progress import ended_by_infrastructure
from controllers.spec import EpisodeSpec, Parts, episode_id
from experiments.search.job import Job
from experiments.search.stages import evaluator_of, score_arm
from experiments.search_config import SearchConfig
from experiments.wiring import Wired
from optimizers.collect.collecting import CollectPlan, tree_spec
from optimizers.evaluator import Evaluator
from optimizers.records import TaskScore
from optimizers.replay.tree import TreeReplay
from optimizers.replaying import Replaying
from optimizers.setup import Grant
from signatures.digest import seed_of
from signatures.errors import UsageError
from signatures.records import Amounts, Episode, Task

NOTHING: Final = Amounts(attempts=0)
LIVE_NEXT: Final = (
    "everything was replayed: what was chosen is not shown live until a gate has run with the worker itself"
)


def said(config: SearchConfig, model: str | None) -> str:
    """What such a run does and does not, in the line where others say what they cost."""
    return (
        f"a recording of {model or 'a worker'}: nothing is attempted. {config.train} tasks to learn from, {config.val} "
        f"to compare candidates on, {config.dev} kept aside for the re-estimate, all of the search split, are replayed"
    )


async def score_arm_recorded(job: Job, arm: Arm) -> dict[str, tuple[TaskScore, ...]]:
    """A control arm on the val tasks and on those kept aside, by split."""
    splits = job.wired.splits
    grant = Grant(arm.attempts, job.config.turns, arm.steer_legal)
    parts = replace(job.wired, setup=replace(job.wired.setup, grant=grant))
    trees = TreeReplay(job.replay.trees.trees, parts.setup.observer, parts.setup.objectives, grant)
    evaluator = evaluator_of(parts, split="search", namespace="arms", replay=Replaying(trees), budget=NOTHING)
    return {
        "search": await score_arm(evaluator, arm, splits.val, seed=seed_of("search", job.config.seed, 2)),
        "dev": await score_arm(evaluator, arm, splits.dev, seed=seed_of("dev", job.config.seed)),
    }


def aside_evaluator(job: Job) -> Evaluator:
    """What re-estimates on the tasks that were kept aside."""
    return evaluator_of(job.wired, split="search", namespace="dev", replay=job.replay, budget=NOTHING)


async def require_recorded(wired: Wired, plan: CollectPlan, tasks: Sequence[Task], parts: Parts) -> None:
    """Raises UsageError where a task has no recorded tree of this very plan, worker and definition of done."""
    missing = [task.digest for task in tasks if not await _is_recorded(tree_spec(wired.setup, task, plan), parts)]
    if missing:
        turns = wired.setup.grant.turns_per_attempt
        raise UsageError(
            f"{len(missing)} of {len(tasks)} tasks have no recorded tree of roots={plan.roots} attempts={plan.depth} "
            f"turns={turns} in this corpus, the first {missing[0]}: ask for sizes that were recorded, or bring the "
            f"recording in with corpus_run unpack {wired.benchmark.id} PATH"
        )


async def _is_recorded(spec: EpisodeSpec, parts: Parts) -> bool:
    while await ended_by_infrastructure(spec, parts):
        spec = spec.model_copy(update={"repeat": spec.repeat + 1})
    return await parts.corpus.get(Episode, episode_id(spec, parts)) is not None
