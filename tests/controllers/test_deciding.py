from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from controllers.arms import draw
from controllers.corpus.memory import MemoryCorpus
from controllers.history import Seen
from controllers.loop import run_episode
from controllers.policies import Policy, View, Weights
from controllers.policies.constant import ConstantPolicy
from controllers.program import Controller, lm_component
from controllers.scripted_engine import scripted_lm
from controllers.spec import EpisodeSpec, Parts, Rollout
from signatures.digest import digest_text
from signatures.errors import Outage, ProviderError, UsageError
from signatures.records import Amounts, Attempt, Cost, Decision, Episode, PolicyName, Steer, Task, Tier
from tests.controllers.parts import (
    FANOUT_3,
    NO_WAIT,
    Climber,
    Height,
    a_spec,
    action_text,
    climbing,
    parts_of,
    rules,
    with_steer,
)

MANY = ("up", "look", "down")


async def decided(parts: Parts, spec: EpisodeSpec) -> tuple[Rollout, list[Decision]]:
    rollout = await run_episode(spec, parts)
    found = {one.id: one async for one in parts.corpus.scan(Decision)}
    return rollout, [found[id] for id in rollout.episode.decision_ids]


def names(decisions: Sequence[Decision]) -> list[tuple[PolicyName, str]]:
    return [(one.policy, one.action) for one in decisions]


async def test_stop_draws_first_then_topology_then_steer() -> None:
    parts = parts_of(Climber(), candidate=climbing(steer=rules({"look": 1.0})), checkers=[Height(9)])
    _, decisions = await decided(parts, a_spec(attempts=2, steers=MANY))
    assert names(decisions) == [
        ("topology", "fanout_1"),
        ("stop", "continue"),
        ("topology", "refine_last"),
        ("steer", "look"),
    ]
    assert [one.step for one in decisions] == [0, 1, 2, 3]


async def test_after_done_nothing_more_is_drawn() -> None:
    parts = parts_of(Climber(), checkers=[Height(1)])
    _, decisions = await decided(parts, a_spec())
    assert names(decisions) == [("topology", "fanout_1"), ("stop", "done")]


async def test_a_policy_sees_the_share_of_money_that_is_left() -> None:
    parts = parts_of(Climber(costs=[Cost(turns=1, usd=0.5), Cost(turns=1, usd=0.25)]), checkers=[Height(9)])
    spec = a_spec(attempts=3).model_copy(update={"granted": Amounts(attempts=3, usd=2.0)})
    _, decisions = await decided(parts, spec)
    seen = {one.features["attempts"]: one.features.get("usd_left") for one in decisions}
    assert (seen[0], seen[1], seen[2]) == (1.0, 0.75, 0.625)
    _, decisions = await decided(parts, a_spec(seed=8))
    assert not any("usd_left" in one.features for one in decisions)


async def test_a_fanout_needs_no_steer() -> None:
    rollout, decisions = await decided(parts_of(Climber(), candidate=FANOUT_3), a_spec(attempts=3, steers=MANY))
    assert names(decisions) == [("topology", "fanout_3")]
    assert [one.attempt.steer for one in rollout.history] == [Steer()] * 3


async def test_only_a_real_choice_is_a_decision() -> None:
    parts = parts_of(Climber(), candidate=climbing(steer=rules({"look": 1.0})), checkers=[Height(9)])
    rollout, decisions = await decided(parts, a_spec(attempts=1, steers=MANY))
    assert (len(rollout.history), decisions) == (1, [])
    _, decisions = await decided(parts, a_spec(attempts=2, steers=("look",)))
    assert "steer" not in {one.policy for one in decisions}


async def test_the_only_steer_is_used_although_nobody_chose_it() -> None:
    rollout, _ = await decided(parts_of(Climber()), a_spec(attempts=2, steers=("look",)))
    assert rollout.history[1].attempt.steer == Steer(kind="fixed", action="look", text="look")


async def test_a_decision_records_what_was_seen_what_was_legal_and_how_likely_it_was() -> None:
    candidate = climbing(
        stop=rules({"continue": 1.0}), topology=rules({"refine_last": 3.0, "fanout_1": 1.0}, when=_fresh())
    )
    parts = parts_of(Climber(), candidate=candidate, checkers=[Height(9)])
    _, decisions = await decided(parts, a_spec(attempts=3))
    first, _, second = decisions[:3]
    assert first.legal == ("fanout_1", "fanout_2", "fanout_3")
    assert first.features == {"attempts": 0.0, "attempts_left": 3.0, "untried": 0.0}
    assert (first.tier, first.policy_digest) == ("rule", digest_text(parts.controller.policies["topology"].text))
    assert second.legal == ("refine_last", "fanout_1", "fanout_2")
    assert second.features["attempts"] == 1.0
    assert second.features["correct"] == pytest.approx(1 / 9)
    assert second.probabilities == {"refine_last": 0.75, "fanout_1": 0.25, "fanout_2": 0.0}
    assert second.propensity == second.probabilities[second.action]
    assert (second.shown, second.cost) == ((), Cost())


def _fresh() -> list[dict[str, object]]:
    return [{"when": [{"feature": "attempts", "op": "<=", "value": 0}], "then": {"fanout_1": 1.0}}]


async def test_a_draw_can_be_repeated_from_its_record() -> None:
    candidate = climbing(stop=rules({"continue": 3.0, "done": 1.0}), steer=rules({"up": 1.0, "down": 2.0}))
    spec = a_spec(attempts=6, steers=MANY).model_copy(update={"floor": 0.05})
    _, decisions = await decided(parts_of(Climber(), candidate=candidate, checkers=[Height(99)]), spec)
    assert len(decisions) > 3
    for one in decisions:
        again = draw(one.probabilities, one.legal, seed=one.draw_seed)
        assert (again.action, again.propensity) == (one.action, pytest.approx(one.propensity))
        assert min(one.probabilities.values()) >= 0.05
        assert sum(one.probabilities.values()) == pytest.approx(1.0)


async def test_no_two_draws_share_a_seed() -> None:
    seeds: list[int] = []
    for seed in range(5):
        parts = parts_of(Climber(), checkers=[Height(99)])
        seeds += [one.draw_seed for one in (await decided(parts, a_spec(seed=seed, steers=MANY)))[1]]
    assert len(seeds) == len(set(seeds)) > 20


async def test_a_models_decision_names_its_tier_what_it_was_shown_and_what_it_cost() -> None:
    lm, engine = scripted_lm(lambda prompt: action_text("done", 0.75))
    candidate = climbing(stop=lm_component("stop", lm, tier="resident"))
    parts = parts_of(Climber(), candidate=candidate, lm=lm, checkers=[Height(9)])
    rollout, decisions = await decided(parts, a_spec(attempts=2, seed=1))
    stop = decisions[1]
    assert (stop.policy, stop.tier) == ("stop", "resident")
    assert stop.shown == tuple(one.id for one in rollout.history[0].observations())
    assert stop.probabilities == {"continue": 0.25, "done": 0.75}
    assert stop.cost.tokens_in == len(engine.prompts[0].split())


async def test_a_decision_that_another_policy_made_is_recorded_as_that_ones() -> None:
    rule = ConstantPolicy({"refine_last": 1.0})

    class StoodInFor(Unreachable):
        async def decide(self, view: View) -> Weights:
            return Weights({"fanout_1": 1.0}, answered_by=rule if view.history else None)

    topology = StoodInFor()
    _, decisions = await decided(asking(topology), a_spec(attempts=3))
    made = [(one.tier, one.policy_digest) for one in decisions if one.policy == "topology"]
    own, other = ("frontier", digest_text(topology.text)), ("rule", digest_text(rule.text))
    assert made == [own, other, other]


async def test_an_action_that_no_steer_realises_is_a_usage_error() -> None:
    parts = parts_of(Climber(), checkers=[Height(9)])
    with pytest.raises(UsageError, match="no steer is called 'text'; there are up, look"):
        await run_episode(a_spec(attempts=2, steers=("text",)), parts)


# A policy or a steerer that cannot be asked.


class Unreachable:
    """A policy whose provider fails at these calls, and starts afresh at the others."""

    tier: Tier = "frontier"
    text = '{"tier":"frontier"}'

    def __init__(self, *failing: int, error: Exception | None = None) -> None:
        self.failing = failing
        self.error = error or ProviderError("rate limit", retryable=True, retry_after_s=0.0)
        self.calls = 0

    async def decide(self, view: View) -> Weights:
        self.calls += 1
        if self.calls - 1 in self.failing:
            raise self.error
        return Weights({"fanout_1": 1.0})


class Mute:
    """A steerer whose provider always fails."""

    def __init__(self) -> None:
        self.calls = 0

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        self.calls += 1
        raise ProviderError("rate limit", retryable=True)


def asking(topology: Policy, corpus: MemoryCorpus | None = None, steerers: Mapping[str, Mute] | None = None) -> Parts:
    parts = parts_of(Climber(), checkers=[Height(9)], corpus=corpus)
    policies = parts.controller.policies
    controller = Controller(stop=policies["stop"], topology=topology, steer=policies["steer"])
    return replace(parts, controller=controller, steers={**parts.steers, **(steerers or {})})


async def test_a_policy_is_tried_as_often_as_a_worker() -> None:
    policy = Unreachable(0, 1)
    rollout = await run_episode(a_spec(attempts=2), asking(policy))
    assert rollout.episode.failure is None
    assert policy.calls == NO_WAIT.tries + 1


@pytest.mark.parametrize("failing", [(0, 1, 2), (1, 2, 3)], ids=["first", "second"])
async def test_a_policy_that_cannot_be_asked_censors_the_episode(failing: tuple[int, ...]) -> None:
    parts = asking(Unreachable(*failing))
    rollout = await run_episode(a_spec(), parts)
    failure = rollout.episode.failure
    assert failure is not None
    assert (failure.error, failure.where, failure.tries) == ("ProviderError", "policy topology", 3)
    assert (rollout.episode.selected_id, rollout.output) == (None, None)
    assert len(rollout.history) == failing[0]
    assert parts.breaker.in_a_row == 1
    assert await parts.corpus.get(Episode, rollout.episode.id) == rollout.episode


@pytest.mark.parametrize("failing", [(0, 1, 2), (1, 2, 3)], ids=["first", "second"])
async def test_a_censored_decision_is_not_asked_again(failing: tuple[int, ...]) -> None:
    policy = Unreachable(*failing)
    parts = asking(policy)
    first = await run_episode(a_spec(), parts)
    calls = policy.calls
    assert await run_episode(a_spec(), parts) == first
    assert policy.calls == calls
    again = await run_episode(a_spec().model_copy(update={"repeat": 1}), parts)
    assert again.episode.failure is None


async def test_a_steerer_that_cannot_be_asked_censors_the_episode() -> None:
    mute = Mute()
    parts = with_steer(parts_of(Climber(), checkers=[Height(9)]), "text", mute)
    rollout = await run_episode(a_spec(steers=("text",)), parts)
    assert mute.calls == 3
    assert rollout.episode.failure is not None
    assert rollout.episode.failure.where == "steer text"
    assert len(rollout.history) == 1
    assert len(rollout.episode.decision_ids) == 3  # those made before it are kept: topology; stop, topology
    assert await run_episode(a_spec(steers=("text",)), parts) == rollout
    assert mute.calls == 3


async def test_policies_that_can_never_be_asked_stop_the_run() -> None:
    policy = Unreachable(*range(1000), error=ProviderError("no such model"))
    parts = asking(policy)
    played = 0
    with pytest.raises(Outage, match="10 infrastructure failures in a row; the last: no such model"):
        for seed in range(50):
            await run_episode(a_spec(seed=seed), parts)
            played += 1
    assert (played, policy.calls) == (9, 10)
    assert [one async for one in parts.corpus.scan(Attempt)] == []


@pytest.mark.parametrize("error", [UsageError("no key"), KeyError("a bug")])
async def test_what_is_no_failure_to_ask_is_raised(error: Exception) -> None:
    policy = Unreachable(0, error=error)
    with pytest.raises(type(error)):
        await run_episode(a_spec(), asking(policy))
    assert policy.calls == 1


async def test_a_steer_that_no_store_takes_is_mended() -> None:
    class Halved:
        async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
            return Steer(kind="analyst", action="text", text="half \ud83d"), Cost()

    parts = with_steer(parts_of(Climber()), "text", Halved())
    rollout = await run_episode(a_spec(attempts=2, steers=("text",)), parts)
    assert rollout.history[1].attempt.steer.text == "half ?"
    assert Attempt.model_validate_json(rollout.history[1].attempt.model_dump_json()) == rollout.history[1].attempt
