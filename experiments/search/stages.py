"""The stages of a search run, each a function: record trees, score control arms, score candidates on dev."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from controllers.baselines import Arm, control_arms
from controllers.budget import Budget
from experiments.search.engines import actions_of
from experiments.search_config import SearchConfig
from experiments.wiring import Wired
from optimizers.collect.collecting import CollectPlan
from optimizers.evaluator import Evaluator, Request
from optimizers.evidence.recurring import Recurrence
from optimizers.evidence.reflection import Reflection
from optimizers.meter import Limits
from optimizers.proposers import Proposer
from optimizers.proposers.lm import LMProposer, Material
from optimizers.proposers.mined import MinedProposer
from optimizers.proposers.recurring import RecurringProposer
from optimizers.records import TaskScore
from optimizers.replay.tree import TreeReplay
from optimizers.replaying import Replaying
from optimizers.setup import Grant
from optimizers.space import Space, space_of
from signatures.records import Amounts, Candidate, Split, Task

Step = Callable[[], object]
"""Called once per finished piece of work, to move a progress bar."""


def plan_of(config: SearchConfig, actions: Sequence[str]) -> CollectPlan:
    """How the trees of this run grow."""
    return CollectPlan(roots=config.roots, depth=config.attempts, actions=tuple(actions))


def evaluator_of(
    wired: Wired,
    *,
    split: Split,
    namespace: str,
    replay: Replaying | None = None,
    budget: Amounts | None = None,
    limits: Limits | None = None,
) -> Evaluator:
    """An evaluator of this run with a budget, limits and a journal namespace of its own."""
    return Evaluator(
        wired.setup,
        wired.ledger,
        wired.journal.part(namespace),
        split=split,
        budget=Budget(budget or Amounts()),
        replay=replay,
        limits=limits,
    )


def space_from(
    replay: TreeReplay,
    tasks: Sequence[Task],
    actions: Sequence[str],
    attempts: int,
    *,
    learned: Sequence[Reflection] = (),
) -> Space:
    """The space that the recorded moves of these tasks span, with those that were learned elsewhere."""
    records: list[Reflection] = [move for task in tasks for move in replay.moves(task.digest)]
    records += learned
    return space_of(records, actions_of(actions, attempts))


def proposer_of(
    wired: Wired, space: Space, material: Material | None = None, recurrent: Sequence[Recurrence] = ()
) -> Proposer:
    """The model if one was named, else the mined proposer, with the rules that earlier runs kept finding."""
    material = material or Material()
    if wired.lm is not None:
        return LMProposer(wired.lm, space, material=material)
    mined = MinedProposer(space, material.learned)
    return RecurringProposer(space, recurrent, mined) if recurrent else mined


def arms_of(config: SearchConfig, actions: Sequence[str]) -> tuple[Arm, ...]:
    """The control arms: refine@k with a rule-chosen directive, with `untried` where there is one, with a model's text.

    A benchmark without directives has no placebo, and its f(trace) is the compressed report.
    """
    directives = len(actions) > 1
    refines = ["rule" if directives else "report", *(["text"] if config.lm is not None else [])]
    if "untried" in actions:
        refines.insert(0, "untried")
    return control_arms(config.attempts, config.turns, refines, placebo=directives)


async def score_arm(evaluator: Evaluator, arm: Arm, tasks: Sequence[Task], *, seed: int) -> tuple[TaskScore, ...]:
    """One control arm on some tasks at its cut of the budget."""
    grant = Grant(arm.attempts, arm.turns_per_attempt, arm.steer_legal)
    scored = await evaluator.evaluate(Request(arm.candidate, tasks, seed=seed, condition=arm.name, grant=grant))
    return tuple(one.score for one in scored)


async def score_candidates(
    evaluator: Evaluator, candidates: Mapping[str, Candidate], tasks: Sequence[Task], *, seed: int, step: Step
) -> dict[str, tuple[TaskScore, ...]]:
    """Each candidate on the same tasks with the same seed, by name."""
    scores: dict[str, tuple[TaskScore, ...]] = {}
    for name, candidate in candidates.items():
        scored = await evaluator.evaluate(Request(candidate, tasks, seed=seed))
        scores[name] = tuple(one.score for one in scored)
        step()
    return scores
