"""The stages of a search run, each a function: record trees, score control arms, score candidates on dev."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from controllers.baselines import Arm, control_arms, seed_candidate
from controllers.budget import Budget
from controllers.program import NAMES, lm_component
from experiments.gepa_config import GepaConfig
from experiments.wiring import Wired
from optimizers.collect.collecting import CollectPlan
from optimizers.evaluator import Evaluator, Request
from optimizers.proposers import Proposer
from optimizers.proposers.lm import LMProposer
from optimizers.proposers.mined import MinedProposer
from optimizers.records import TaskScore
from optimizers.reflection import Reflection
from optimizers.replay.tree import TreeReplay
from optimizers.replaying import Replaying
from optimizers.setup import Grant
from optimizers.space import Space, space_of
from signatures.records import Amounts, Candidate, Split, Task

Step = Callable[[], object]
"""Called once per finished piece of work, to move a progress bar."""


class Cost(NamedTuple):
    """The most live attempts each stage can take."""

    record: int
    arms: int
    search: int
    random: int
    confirm: int
    dev: int

    @property
    def total(self) -> int:
        """All stages."""
        return sum(self)


def plan_of(config: GepaConfig, actions: Sequence[str]) -> CollectPlan:
    """How the trees of this run grow."""
    return CollectPlan(roots=config.roots, depth=config.attempts, actions=tuple(actions))


def cost_of(config: GepaConfig, actions: Sequence[str], arms: int, *, harvested: int = 0) -> Cost:
    """The projection that a run starts with: upper bounds, since solved tasks stop early.

    `harvested`: train tasks beside those of the config.
    """
    explored = 0 if config.live else config.explore
    members = (config.most_confirmed or config.most_found) + explored
    confirmed = 2 * config.most_confirmed + explored
    return Cost(
        record=(config.train + harvested + config.val_trees) * plan_of(config, actions).most_attempts,
        arms=arms * (config.val + config.dev) * config.attempts,
        search=config.max_attempts,
        random=config.max_attempts,
        confirm=confirmed * config.val * config.attempts,
        dev=(members + 1) * config.dev * config.attempts,
    )


def projection(cost: Cost, config: GepaConfig) -> str:
    """The projection in one line. Tokens are not known beforehand; `max_usd` limits the search, not what is around it.

    With a model each attempt may take a call for each of stop, topology and steer.
    """
    said = (
        f"at most {cost.total} attempts: {cost.record} recorded (reused if there), {cost.arms} in control arms, "
        f"{cost.search} in the search, {cost.random} in random search, {cost.confirm} to confirm what they found, "
        f"{cost.dev} on dev"
    )
    if config.lm is None:
        return said
    limit = "no limit in usd" if config.max_usd is None else f"at most {config.max_usd:g} usd in the search"
    return f"{said}; up to {3 * (cost.search + cost.confirm + cost.dev)} decisions by {config.lm}, {limit}"


def evaluator_of(
    wired: Wired, *, split: Split, namespace: str, replay: Replaying | None = None, budget: Amounts | None = None
) -> Evaluator:
    """An evaluator of this run with a budget and a journal namespace of its own."""
    return Evaluator(
        wired.setup,
        wired.ledger,
        wired.journal.part(namespace),
        split=split,
        budget=Budget(budget or Amounts()),
        replay=replay,
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
    fanouts = tuple(f"fanout_{n}" for n in range(1, min(2, attempts) + 1))
    return space_of(
        records,
        {"stop": ("continue", "done"), "topology": ("refine_last", *fanouts), "steer": tuple(actions)},
    )


def proposer_of(wired: Wired, space: Space, learned: Sequence[Reflection] = ()) -> Proposer:
    """The model if one was named, else the mined proposer."""
    return MinedProposer(space, learned) if wired.lm is None else LMProposer(wired.lm, space, learned)


def start_of(config: GepaConfig, wired: Wired) -> Candidate:
    """Where the search starts: rules, or with a model its policies under their signatures' own instructions."""
    if wired.lm is None:
        return seed_candidate()
    return Candidate(components={name: lm_component(name, wired.lm, tier=config.tier) for name in NAMES})


def arms_of(config: GepaConfig, actions: Sequence[str]) -> tuple[Arm, ...]:
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
