"""One round of decisions: stop draws first, then topology, then steer; each draw becomes a record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import NamedTuple, TypeVar

from controllers.arms import distribution, draw
from controllers.history import Seen
from controllers.moves import STOP, legal_topology, move_of
from controllers.observe import observe
from controllers.policies import View, Weights
from controllers.progress import Progress
from controllers.retry import with_retries
from controllers.spec import Parts
from signatures.digest import digest_of, digest_text, seed_of
from signatures.errors import UsageError
from signatures.records import Amounts, Cost, Decision, Failure, PolicyName, Steer

T = TypeVar("T")


class Turn(NamedTuple):
    """What was decided: the decisions, the parents of the attempts to launch (none: stop) and their steer."""

    decisions: tuple[Decision, ...]
    parents: tuple[Seen | None, ...] = ()
    steer: Steer = Steer()
    steer_cost: Cost = Cost()

    def cost_of(self, offset: int) -> Cost:
        """What stands in the attempt at that place of the round: all of `steer_cost` in the first, billed once."""
        return self.steer_cost if offset == 0 else Cost()


class Unanswered(Exception):
    """A policy or a steerer could not be asked; it never leaves this module."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


async def decide(progress: Progress, parts: Parts) -> Turn:
    """The next move. A move without an alternative is not a decision and is not recorded.

    A policy or steerer that cannot be asked is a failure of the episode, like that of an attempt.
    """
    legal = legal_topology(progress.history, progress.attempts_left())
    if not legal or progress.failure is not None:
        return Turn(())
    made: list[Decision] = []
    try:
        return await _turn(progress, parts, legal, made)
    except Unanswered as error:
        progress.failure = error.failure
        return Turn(tuple(made))


async def _turn(progress: Progress, parts: Parts, legal: tuple[str, ...], made: list[Decision]) -> Turn:
    history, spec = progress.history, progress.spec
    left = Amounts(attempts=progress.attempts_left(), turns=progress.turns_left(), usd=progress.usd_left())
    features = observe(history, parts.observer, granted=spec.granted, left=left)

    async def drawn(policy: PolicyName, actions: tuple[str, ...]) -> str:
        if len(actions) == 1:
            return actions[0]
        view = View(spec.task, features, actions, tuple(history), progress.around(parts.observer))
        decision = await _draw(policy, view, progress, parts)
        progress.budget.charge(decision.cost)
        made.append(decision)
        return decision.action

    if history and await drawn("stop", STOP) == "done":
        return Turn(tuple(made))
    begun = Cost()
    if not history and parts.controller.begins_with_stop:
        view = View(spec.task, features, STOP, (), progress.around(parts.observer))
        found = await _never_begun(view, progress, parts)
        begun = found.cost
        progress.budget.charge(begun)
        if isinstance(found, Decision):
            return Turn((found,))
    move = move_of(await drawn("topology", legal), history)
    if move.kind == "fanout":
        return Turn(tuple(made), move.parents, steer_cost=begun)
    steer, cost = await _steer(await drawn("steer", spec.steer_legal), progress, parts)
    progress.budget.charge(cost)
    return Turn(tuple(made), move.parents, steer, cost)


class _Begun(NamedTuple):
    """The episode begins, and what it cost to find that out."""

    cost: Cost = Cost()


async def _never_begun(view: View, progress: Progress, parts: Parts) -> Decision | _Begun:
    """The decision to attempt nothing at all, if that is what the stop policy says; else the episode begins.

    To begin is no decision and is not recorded, nor is the opposite explored: it would be an episode thrown away. What
    it cost stands in the first attempt, so that an episode that is recalled has spent what it did.
    """
    if progress.recorded_attempts:
        first = progress.recorded_attempt(0)
        return _Begun() if first is None else _Begun(first.steer_cost)
    recorded = progress.recorded_decisions.get(_id_of(progress, 0, "stop"))
    if recorded is not None or progress.recorded_decisions:
        return recorded or _Begun()
    stop = parts.controller.policies["stop"]
    answer = await _asked(lambda: stop.decide(view), "policy stop", progress, parts)
    if distribution(answer.weights, view.legal)["done"] < 1:
        return _Begun(answer.cost)
    said = _Said("stop", progress.next_step(), answer._replace(answered_by=answer.answered_by or stop))
    return _decision(said, view, progress, floor=0.0)


class _Said(NamedTuple):
    """What a policy said at a step; `answer.answered_by` is the policy itself where no other stood in for it."""

    policy: PolicyName
    step: int
    answer: Weights


async def _draw(policy: PolicyName, view: View, progress: Progress, parts: Parts) -> Decision:
    step = progress.next_step()
    recorded = progress.recorded_decisions.get(_id_of(progress, step, policy))
    if recorded is not None:
        return recorded
    chosen = parts.controller.policies[policy]
    answer = await _asked(lambda: chosen.decide(view), f"policy {policy}", progress, parts)
    said = _Said(policy, step, answer._replace(answered_by=answer.answered_by or chosen))
    return _decision(said, view, progress, floor=progress.spec.floor)


def _decision(said: _Said, view: View, progress: Progress, *, floor: float) -> Decision:
    """The draw, as a record."""
    made_by = said.answer.answered_by
    assert made_by is not None
    seed = seed_of("draw", progress.episode_id, said.step)
    result = draw(said.answer.weights, view.legal, seed=seed, floor=floor)
    return Decision(
        id=_id_of(progress, said.step, said.policy),
        episode_id=progress.episode_id,
        step=said.step,
        policy=said.policy,
        features=dict(view.features),
        legal=view.legal,
        probabilities=result.probabilities,
        action=result.action,
        propensity=result.propensity,
        draw_seed=seed,
        tier=made_by.tier,
        policy_digest=_digest(made_by.text),
        shown=said.answer.shown,
        cost=said.answer.cost,
    )


def _id_of(progress: Progress, step: int, policy: PolicyName) -> str:
    return digest_of("decision", progress.episode_id, step, policy)


@lru_cache(maxsize=64)
def _digest(text: str) -> str:
    """Of a policy's text. A rule's is the same object at every decision, so that it is hashed once."""
    return digest_text(text)


async def _steer(action: str, progress: Progress, parts: Parts) -> tuple[Steer, Cost]:
    """The steer of the next attempt; one that was recorded is not made again, since a model would write another."""
    history, spec = progress.history, progress.spec
    recorded = progress.recorded_attempt(len(history))
    if recorded is not None:
        return recorded.steer, recorded.steer_cost
    steerer = parts.steers.get(action)
    if steerer is None:
        raise UsageError(f"no steer is called {action!r}; there are {', '.join(parts.steers)}")
    seed = seed_of("steer", spec.seed, spec.task.digest, len(history))
    steer, cost = await _asked(lambda: steerer.steer(spec.task, history, seed), f"steer {action}", progress, parts)
    return steer.encodable(), cost


async def _asked(call: Callable[[], Awaitable[T]], where: str, progress: Progress, parts: Parts) -> T:
    """The answer of a policy or a steerer, tried as often as a worker is. Raises Unanswered and Outage."""
    if progress.recorded_failure is not None:
        raise Unanswered(progress.recorded_failure)

    async def checked() -> T:
        parts.breaker.check()
        return await call()

    answer = await with_retries(checked, where, parts.retry)
    if isinstance(answer, Failure):
        parts.breaker.failed(answer)
        raise Unanswered(answer)
    return answer
