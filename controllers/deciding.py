"""One round of decisions: stop draws first, then topology, then steer; each draw becomes a record."""

from __future__ import annotations

from typing import NamedTuple

from controllers.arms import draw
from controllers.history import Seen
from controllers.moves import STOP, legal_topology, move_of
from controllers.observe import observe
from controllers.policies import View
from controllers.progress import Progress
from controllers.spec import Parts
from signatures.digest import digest_of, digest_text, seed_of
from signatures.records import Amounts, Decision, PolicyName, Steer


class Turn(NamedTuple):
    """What was decided: the decisions, the parents of the attempts to launch (none: stop) and their steer."""

    decisions: tuple[Decision, ...]
    parents: tuple[Seen | None, ...] = ()
    steer: Steer = Steer()


async def decide(progress: Progress, parts: Parts) -> Turn:
    """The next move. A move without an alternative is not a decision and is not recorded."""
    history, spec = progress.history, progress.spec
    legal = legal_topology(history, progress.attempts_left())
    if not legal or progress.failure is not None:
        return Turn(())
    left = Amounts(attempts=progress.attempts_left(), turns=progress.turns_left())
    features = observe(history, parts.observer, granted=spec.granted, left=left)
    made: list[Decision] = []

    async def drawn(policy: PolicyName, actions: tuple[str, ...]) -> str:
        if len(actions) == 1:
            return actions[0]
        view = View(spec.task, features, actions, tuple(history))
        decision = await _draw(policy, view, progress, parts)
        progress.budget.charge(decision.cost)
        made.append(decision)
        return decision.action

    if history and await drawn("stop", STOP) == "done":
        return Turn(tuple(made))
    move = move_of(await drawn("topology", legal), history)
    if move.kind == "fanout":
        return Turn(tuple(made), move.parents)
    action = await drawn("steer", spec.steer_legal)
    seed = seed_of("steer", spec.seed, spec.task.digest, len(history))
    steer, cost = await parts.steers[action].steer(spec.task, history, seed)
    progress.budget.charge(cost)
    return Turn(tuple(made), move.parents, steer)


async def _draw(policy: PolicyName, view: View, progress: Progress, parts: Parts) -> Decision:
    step = progress.next_step()
    id = digest_of("decision", progress.episode_id, step, policy)
    recorded = progress.recorded_decisions.get(id)
    if recorded is not None:
        return recorded
    chosen = parts.controller.policies[policy]
    answer = await chosen.decide(view)
    seed = seed_of("draw", progress.episode_id, step)
    result = draw(answer.weights, view.legal, seed=seed, floor=progress.spec.floor)
    return Decision(
        id=id,
        episode_id=progress.episode_id,
        step=step,
        policy=policy,
        features=dict(view.features),
        legal=view.legal,
        probabilities=result.probabilities,
        action=result.action,
        propensity=result.propensity,
        draw_seed=seed,
        tier=chosen.tier,
        policy_digest=digest_text(chosen.text),
        shown=answer.shown,
        cost=answer.cost,
    )
