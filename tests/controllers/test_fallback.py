from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from controllers.corpus.memory import MemoryCorpus
from controllers.fallback import FallbackPolicy, Patience, guarded
from controllers.loop import run_episode
from controllers.policies import View, Weights
from controllers.policies.constant import ConstantPolicy
from controllers.production import production_parts, production_spec
from controllers.program import program_candidate
from controllers.release import Here, loaded
from controllers.scripted_engine import scripted_lm
from controllers.steers import steer_table
from signatures.digest import digest_text
from signatures.errors import FirewallBreach, ProviderError, TillerError, UsageError
from signatures.records import Cost, Decision, Tier
from tests.controllers.parts import a_task, action_text
from tests.worlds.planted import DIRECTIVES, PlantedBenchmark
from tests.worlds.signed import a_promotion, asking, files

RULE = ConstantPolicy({"pump": 1.0})
VIEW = View(a_task(), {"attempts": 1.0}, ("none", "fan", "pump"))
DOWN = ProviderError("connection refused", retryable=True)
PATIENCE = Patience(timeout_s=30.0, failures=3, cool_down_s=60.0)


@dataclass
class Model:
    """A policy whose calls end as `says` tells."""

    says: Callable[[int], Exception | None] = lambda call: None
    calls: int = 0
    tier: Tier = "frontier"
    text: str = '{"tier":"frontier"}'
    waits: asyncio.Event | None = None

    async def decide(self, view: View) -> Weights:
        self.calls += 1
        if self.waits is not None:
            await self.waits.wait()
        if (error := self.says(self.calls)) is not None:
            raise error
        return Weights({"fan": 1.0}, ("shown",), Cost(tokens_in=7))


@dataclass
class Clock:
    now: float = 0.0
    seen: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now


async def test_a_model_that_answers_is_believed() -> None:
    model = Model()
    answer = await FallbackPolicy(model, RULE).decide(VIEW)
    assert answer == Weights({"fan": 1.0}, ("shown",), Cost(tokens_in=7), answered_by=None)
    assert model.calls == 1


def test_it_has_the_models_name() -> None:
    policy = FallbackPolicy(Model(), RULE)
    assert (policy.text, policy.tier) == ('{"tier":"frontier"}', "frontier")


@pytest.mark.parametrize(
    ("error", "calls"),
    [(DOWN, 2), (ProviderError("no such model"), 1), (UsageError("the key was withdrawn"), 1)],
)
async def test_a_model_that_is_down_is_stood_in_for_and_that_is_said(error: Exception, calls: int) -> None:
    model = Model(lambda call: error)
    answer = await FallbackPolicy(model, RULE, clock=Clock()).decide(VIEW)
    assert answer == Weights({"pump": 1.0}, (), Cost(wall_s=0.0), answered_by=RULE)
    assert model.calls == calls


async def test_one_more_try_may_help() -> None:
    model = Model(lambda call: DOWN if call == 1 else None)
    answer = await FallbackPolicy(model, RULE).decide(VIEW)
    assert (answer.answered_by, dict(answer.weights)) == (None, {"fan": 1.0})


async def test_a_model_that_does_not_answer_in_time_is_stood_in_for() -> None:
    model = Model(waits=asyncio.Event())
    answer = await FallbackPolicy(model, RULE, Patience(timeout_s=0.01)).decide(VIEW)
    assert answer.answered_by is RULE
    assert answer.cost.wall_s is not None
    assert answer.cost.wall_s >= 0.01


async def test_a_provider_that_asks_for_a_long_wait_is_not_waited_for() -> None:
    model = Model(lambda call: ProviderError("busy", retryable=True, retry_after_s=3600.0))
    answer = await FallbackPolicy(model, RULE, Patience(timeout_s=0.01)).decide(VIEW)
    assert (answer.answered_by, model.calls) == (RULE, 1)


async def test_after_several_failures_in_a_row_it_is_not_asked_for_a_while() -> None:
    broken, clock = [True], Clock()
    model = Model(lambda call: ProviderError("gone") if broken[0] else None)
    policy = FallbackPolicy(model, RULE, PATIENCE, clock=clock)
    assert [(await policy.decide(VIEW)).answered_by for _ in range(5)] == [RULE] * 5
    assert (model.calls, policy.down) == (3, True)
    clock.now = 59.0
    await policy.decide(VIEW)
    assert model.calls == 3
    clock.now = 60.0  # one try, still broken: it rests again
    assert [(await policy.decide(VIEW)).answered_by for _ in range(3)] == [RULE] * 3
    assert model.calls == 4
    broken[0], clock.now = False, 120.0
    assert [(await policy.decide(VIEW)).answered_by for _ in range(3)] == [None] * 3
    assert (model.calls, policy.down) == (7, False)


async def test_failures_that_are_not_in_a_row_do_not_add_up() -> None:
    model = Model(lambda call: ProviderError("gone") if call % 3 else None)
    policy = FallbackPolicy(model, RULE, PATIENCE, clock=Clock())
    for _ in range(12):
        await policy.decide(VIEW)
    assert (model.calls, policy.down) == (12, False)


async def test_of_many_episodes_one_tries_whether_the_model_is_back() -> None:
    clock = Clock()
    model = Model(lambda call: ProviderError("gone") if call <= 3 else None)
    policy = FallbackPolicy(model, RULE, PATIENCE, clock=clock)
    for _ in range(3):
        await policy.decide(VIEW)
    model.waits, clock.now = asyncio.Event(), 60.0
    first = asyncio.create_task(policy.decide(VIEW))
    await asyncio.sleep(0)
    others = [(await policy.decide(VIEW)).answered_by for _ in range(8)]
    model.waits.set()
    assert others == [RULE] * 8
    assert (await first).answered_by is None
    assert (model.calls, policy.down) == (4, False)


@pytest.mark.parametrize("error", [FirewallBreach("a verdict"), KeyError("a bug")])
async def test_what_is_no_failure_to_ask_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        await FallbackPolicy(Model(lambda call: error), RULE).decide(VIEW)


async def test_whoever_is_cancelled_gets_no_rule() -> None:
    model = Model(waits=asyncio.Event())
    task = asyncio.create_task(FallbackPolicy(model, RULE).decide(VIEW))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# In production.


async def test_the_record_shows_who_decided() -> None:
    up = [True]

    def say(prompt: str) -> str:
        if not up[0]:
            raise ConnectionError("the model is down")
        return action_text("fan", 1.0)

    lm, engine = scripted_lm(say)
    champion = loaded(files(asking(lm), lm), Here(lm=lm))
    world, corpus = PlantedBenchmark(), MemoryCorpus()
    tasks = world.tasks("production")
    found: dict[bool, set[tuple[str, str, str]]] = {}
    for up[0] in (True, False):
        for seed in range(4):
            parts = production_parts(
                champion,
                worker=world.worker(None, None),
                checkers=world.checkers(),
                steers=steer_table(DIRECTIVES, world),
                observer=world,
                corpus=corpus,
            )
            spec = production_spec(champion, tasks[seed + 4 * up[0]], seed=seed)
            episode = (await run_episode(spec, parts)).episode
            assert (episode.failure, episode.candidate) == (None, champion.release.candidate)
            own = [one async for one in corpus.scan(Decision, {"episode_id": episode.id})]
            found.setdefault(up[0], set()).update((one.policy, one.tier, one.policy_digest) for one in own)
    model = ("steer", "frontier", digest_text(champion.controller.policies["steer"].text))
    rule = ("steer", "rule", digest_text(champion.release.fallback["steer"]))
    assert {one for one in found[True] if one[0] == "steer"} == {model}
    assert {one for one in found[False] if one[0] == "steer"} == {rule}
    # What is down is remembered from one episode to the next.
    asked = len(engine.prompts)
    await champion.deciding.policies["steer"].decide(VIEW)
    assert len(engine.prompts) == asked


def test_the_controller_keeps_its_digest() -> None:
    lm, _ = scripted_lm(lambda prompt: "")
    champion = loaded(files(asking(lm), lm), Here(lm=lm))
    assert champion.deciding.digest == champion.controller.digest == champion.release.candidate
    assert isinstance(champion.deciding.policies["steer"], FallbackPolicy)
    assert champion.deciding.policies["stop"] is champion.controller.policies["stop"]


def test_a_fallback_that_is_no_rule_is_refused() -> None:
    lm, _ = scripted_lm(lambda prompt: "")
    promotion = a_promotion(asking(lm), lm)
    champion = loaded(files(asking(lm), lm), Here(lm=lm))
    release = champion.release.model_copy(update={"fallback": {"steer": '{"tier":"frontier"}'}})
    with pytest.raises(TillerError, match="decision list"):
        guarded(promotion.controller, release)


FAILING = """
async def strategy(ctx):
    shot = await ctx.shot()
    if shot.index < 9:
        x = 1 // shot.index
"""


async def test_where_a_program_fails_the_registered_rules_decide() -> None:
    candidate = program_candidate(FAILING)
    champion = loaded(files(candidate, exploration=0.0))
    assert champion.deciding.digest == champion.controller.digest == candidate.digest
    world, corpus = PlantedBenchmark(), MemoryCorpus()
    parts = production_parts(
        champion,
        worker=world.worker(None, None),
        checkers=world.checkers(),
        steers=steer_table(DIRECTIVES, world),
        observer=world,
        corpus=corpus,
    )
    rollout = await run_episode(production_spec(champion, world.tasks("production")[0], seed=1), parts)
    assert rollout.episode.failure is None and len(rollout.history) > 1
    made_by = {(one.step == 0, one.policy_digest) async for one in corpus.scan(Decision)}
    assert (True, digest_text(candidate.components["program"])) in made_by
    behind = {digest_text(text) for text in champion.release.fallback.values()}
    assert {digest for first, digest in made_by if not first} <= behind
