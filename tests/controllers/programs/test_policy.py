"""A program as three policies: a function of the attempts made, asked once a turn, stopped by name."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence

import dspy
import pytest

from controllers.around import EpisodeAround
from controllers.corpus.memory import MemoryCorpus
from controllers.history import Seen
from controllers.isolation import works
from controllers.loop import run_episode
from controllers.observe import NoObserver
from controllers.policies import View
from controllers.program import Controller, controller_of, loads, program_candidate
from controllers.programs import builtin
from controllers.programs.host import Host
from controllers.programs.policy import Program
from controllers.programs.wire import Answer, Call
from controllers.scripted_engine import scripted_lm
from controllers.served import RemoteWorker, ServedEpisode
from controllers.testing_workers import a_context
from signatures.errors import ProgramFault, ProgramRefused, ProviderError, UsageError
from signatures.records import Amounts, Attempt, Candidate, Decision
from tests.controllers.parts import (
    Climber,
    Killed,
    a_spec,
    a_task,
    action_text,
    climbing,
    fails_at,
    parts_of,
    seen,
)

pytestmark = pytest.mark.skipif(not works("rlimits"), reason="needs Linux")
IDLE = program_candidate("async def strategy(ctx):\n    return\n")
LOOKING = """
async def strategy(ctx):
    shot = await ctx.shot()
    for _ in range(8):
        seen = await ctx.critique()
        left = await ctx.budget()
        tools = await ctx.list_tools()
        if shot.passed or left.attempts < 1 or seen.get("attempts", 0) > 6:
            return
        if "step" in tools.tools and "look" in tools.actions and shot.index == 0:
            shot = await ctx.shot(start="last", steer="look")
        else:
            shot = await ctx.shot(start="best", steer="none")
"""
STEERS = ("none", "up", "look")


def around(attempts: int = 9, steers: tuple[str, ...] = STEERS) -> EpisodeAround:
    granted = Amounts(attempts=attempts)
    return EpisodeAround(granted=granted, turns_per_attempt=None, steers=steers, observer=NoObserver())


def viewed(controller: Controller, legal: tuple[str, ...], history: Sequence[Seen], where: EpisodeAround) -> View:
    return View(a_task(), where.observed(tuple(history)), legal, tuple(history), where)


async def said(controller: Controller, history: Sequence[Seen], where: EpisodeAround) -> dict[str, str]:
    """The action with all the weight, of each policy."""
    legal = {
        "stop": ("continue", "done"),
        "topology": ("refine_last", "refine_best", "fanout_1", "fanout_2", "fanout_3", "fanout_4"),
        "steer": where.steers,
    }
    found: dict[str, str] = {}
    for name, policy in controller.policies.items():
        answer = await policy.decide(viewed(controller, legal[name], history, where))
        ((found[name], weight),) = answer.weights.items()
        assert weight == 1.0
    return found


async def test_it_decides_from_what_it_is_told() -> None:
    climber = Climber()
    rollout = await run_episode(
        a_spec(attempts=5, steers=STEERS), parts_of(climber, candidate=program_candidate(LOOKING))
    )
    assert [one.attempt.steer.action for one in rollout.history] == ["none", "look", "none"]
    assert rollout.output == "at 3"


class Counting(Host):
    """Counts what the child is asked."""

    asked = 0

    async def next_call(self, answers: Sequence[Answer]) -> Call:
        self.asked += 1
        return await super().next_call(answers)


async def test_the_child_is_asked_once_for_the_three_decisions_of_a_turn() -> None:
    controller = controller_of(builtin.refine("up"))
    assert controller.program is not None
    host = controller.program._host = Counting(controller.program.source)
    where, history = around(), [seen(0, correct=0.1)]
    assert await said(controller, [], where) == {"stop": "continue", "topology": "fanout_1", "steer": "none"}
    assert host.asked == 1
    assert await said(controller, history, where) == {"stop": "continue", "topology": "refine_last", "steer": "up"}
    assert host.asked == 2
    await said(controller, history, where)
    assert host.asked == 2
    assert (await said(controller, [seen(0, correct=1.0)], around()))["stop"] == "done"


async def test_a_fresh_process_says_the_same_after_any_history() -> None:
    """Nothing but the history is known: what was remembered makes no difference."""
    histories = [[seen(n, correct=0.1 * n) for n in range(made)] for made in range(5)]
    where = around()
    candidate = builtin.adaptive_refine("up", patience=2)
    going_on = controller_of(candidate)
    for history in histories:
        assert await said(going_on, history, where) == await said(controller_of(candidate), history, around())


async def test_a_view_of_an_attempt_says_what_was_really_done() -> None:
    source = """
async def strategy(ctx):
    shot = await ctx.shot()
    shot = await ctx.shot(start="last", steer="up")
    if shot.action == "look":
        return
    shot = await ctx.shot(start="last", steer="none")
"""
    controller = controller_of(program_candidate(source))
    asked, explored = [[seen(0), seen(1, parent=0, action=action)] for action in ("up", "look")]
    assert (await said(controller, asked, around()))["stop"] == "continue"
    assert (await said(controller, explored, around()))["stop"] == "done"


async def test_a_fan_out_of_which_a_part_was_launched_asks_for_the_rest() -> None:
    source = """
async def strategy(ctx):
    shots = await ctx.shots(3)
    if len(shots) == 3:
        shot = await ctx.shot(start="best", steer="up")
"""
    controller, where = controller_of(program_candidate(source)), around()
    histories = [[seen(n, correct=0.5 - 0.1 * n) for n in range(made)] for made in range(5)]
    topology = [(await said(controller, history, where))["topology"] for history in histories[:4]]
    assert topology == ["fanout_3", "fanout_2", "fanout_1", "refine_best"]
    assert (await said(controller, histories[4], where))["stop"] == "done"
    assert (await said(controller_of(program_candidate(source)), histories[2], around()))["topology"] == "fanout_1"


async def test_where_exploration_goes_on_against_it_the_least_is_asked_for() -> None:
    controller = controller_of(builtin.sample())
    found = await said(controller, [seen(0, correct=1.0)], around())
    assert found == {"stop": "done", "topology": "fanout_1", "steer": "none"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("shot = await ctx.shot(start='last', steer='sing')", "steer='sing'.*no legal action here; there are none, up"),
        ("shot = await ctx.shot(steer='up')", "a fresh attempt is told nothing"),
        ("shots = await ctx.shots(4)", r"shots\(4\), but the budget allows 2 more"),
    ],
)
async def test_a_move_that_is_not_legal_is_a_fault(body: str, message: str) -> None:
    source = f"async def strategy(ctx):\n    shot = await ctx.shot()\n    {body}\n"
    corpus = MemoryCorpus()
    parts = parts_of(Climber(), candidate=program_candidate(source), corpus=corpus)
    with pytest.raises(ProgramFault, match=message) as caught:
        await run_episode(a_spec(attempts=3, steers=STEERS), parts)
    assert caught.value.kind == "illegal"
    assert len([one async for one in corpus.scan(Attempt)]) == 1  # what was attempted stays on record


async def test_its_own_error_is_a_fault_and_comes_again() -> None:
    source = "async def strategy(ctx):\n    shot = await ctx.shot()\n    x = 1 // shot.index\n"
    controller = controller_of(program_candidate(source))
    for _ in range(2):
        with pytest.raises(ProgramFault) as caught:
            await said(controller, [seen(0)], around())
        assert caught.value.kind == "error"
    with pytest.raises(ProgramFault):
        await said(controller, [seen(0), seen(1)], around())


async def test_a_program_that_takes_no_shot_ends_an_episode_without_attempts() -> None:
    corpus, climber = MemoryCorpus(), Climber()
    parts = parts_of(climber, candidate=IDLE, corpus=corpus)
    spec = a_spec().model_copy(update={"floor": 0.2})
    rollout = await run_episode(spec, parts)
    assert (rollout.history, rollout.episode.selected_id, rollout.episode.failure) == ((), None, None)
    (decision,) = [one async for one in corpus.scan(Decision)]
    assert (decision.policy, decision.action, decision.propensity, decision.step) == ("stop", "done", 1.0, 0)
    assert not climber.contexts
    assert await run_episode(spec, parts) == rollout  # and is recalled


async def test_to_begin_is_no_decision() -> None:
    """So an episode of a program reads like one of rules."""
    corpus = MemoryCorpus()
    parts = parts_of(Climber(), candidate=builtin.refine(), corpus=corpus)
    await run_episode(a_spec(attempts=3), parts)
    drawn = [(one.step, one.policy) async for one in corpus.scan(Decision)]
    plain = MemoryCorpus()
    await run_episode(a_spec(attempts=3), parts_of(Climber(), corpus=plain))
    assert drawn == [(one.step, one.policy) async for one in plain.scan(Decision)]


@pytest.mark.parametrize("call", [0, 1, 2])
async def test_a_killed_episode_goes_on_as_it_would_have(call: int) -> None:
    whole = await run_episode(a_spec(attempts=5), parts_of(Climber(), candidate=builtin.refine()))
    corpus = MemoryCorpus()
    with pytest.raises(Killed):
        await run_episode(
            a_spec(attempts=5),
            parts_of(Climber(before=fails_at(call, error=Killed())), candidate=builtin.refine(), corpus=corpus),
        )
    climber = Climber()
    again = await run_episode(a_spec(attempts=5), parts_of(climber, candidate=builtin.refine(), corpus=corpus))
    assert again.episode.content() == whole.episode.content()
    assert len(climber.contexts) == 3 - call


async def test_served_it_is_asked_in_the_same_way() -> None:
    worker, corpus = Climber(), MemoryCorpus()
    parts = parts_of(RemoteWorker(worker.fingerprint), candidate=builtin.refine(), corpus=corpus)
    episode = await ServedEpisode.open(a_spec(attempts=5), parts)
    while not (move := await episode.next_move()).done:
        for due in move.due:
            await episode.report(due.context.attempt_id, await worker.attempt(a_task(), due.context, due.start))
    assert move.output == "at 3"
    idle = await ServedEpisode.open(a_spec(), parts_of(RemoteWorker(worker.fingerprint), candidate=IDLE))
    assert (await idle.next_move()).done
    assert a_context().turns_limit == 4


async def test_a_model_chooses_an_option_once_and_is_billed_once() -> None:
    source = """
async def strategy(ctx):
    shot = await ctx.shot()
    for _ in range(4):
        if shot.passed:
            return
        steer = await ctx.consult("steer", ["up", "look"])
        shot = await ctx.shot(start="last", steer=steer)
"""
    lm, engine = scripted_lm(lambda prompt: action_text("look"))
    candidate = program_candidate(source, lm)
    corpus = MemoryCorpus()
    rollout = await run_episode(
        a_spec(attempts=4, steers=STEERS), parts_of(Climber(), candidate=candidate, corpus=corpus, lm=lm)
    )
    assert [one.attempt.steer.action for one in rollout.history] == ["none", "look", "look"]
    assert len(engine.prompts) == 2
    decisions = [one async for one in corpus.scan(Decision)]
    paid = [(one.policy, one.cost.tokens_in) for one in decisions if one.cost.tokens_in]
    assert [policy for policy, _ in paid] == ["stop", "stop"]
    assert {one.tier for one in decisions} == {"resident"}
    with pytest.raises(UsageError, match="asks a model"):
        controller_of(candidate)
    plain = await run_episode(
        a_spec(attempts=4, steers=STEERS), parts_of(Climber(), candidate=program_candidate(source))
    )
    assert [one.attempt.steer.action for one in plain.history] == ["none", "up", "up"]


async def test_a_model_that_cannot_be_asked_is_infrastructure_and_no_fault() -> None:
    def gone(prompt: str) -> str:
        raise ConnectionError("gone")

    lm, _ = scripted_lm(gone)
    source = 'async def strategy(ctx):\n    x = await ctx.consult("stop", ["a", "b"])\n    shot = await ctx.shot()\n'
    parts = parts_of(Climber(), candidate=program_candidate(source, lm), lm=lm)
    rollout = await run_episode(a_spec(), parts)
    assert rollout.episode.failure is not None
    assert rollout.episode.failure.error == ProviderError.__name__


def test_it_is_saved_loaded_and_named_by_its_text() -> None:
    controller = controller_of(builtin.refine("up"))
    back = loads(controller.dumps())
    assert back.digest == controller.digest == builtin.refine("up").digest
    assert back.begins_with_stop and not controller_of(climbing()).begins_with_stop
    assert set(back.candidate.components) == {"program"}
    spaced = program_candidate("async def strategy(ctx):  # as it is\n    shot = await  ctx.shot()\n")
    assert spaced.digest == program_candidate("async def strategy(ctx):\n    shot = await ctx.shot()\n").digest
    twin = copy.deepcopy(controller)
    assert twin.digest == controller.digest and twin.program is not controller.program


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("{}", UsageError, "program: tier: Field required"),
        ('{"tier":"rule","source":"x","rules":[]}', UsageError, "program: rules: Extra inputs"),
        ('{"tier":"rule","source":"import os"}', ProgramRefused, "line 1"),
        ('{"tier":"resident","source":"x"}', UsageError, "names a model where"),
        ('{"tier":"rule","source":"x","model":"m"}', UsageError, "names a model where"),
    ],
)
def test_what_is_no_program_is_one_clear_line(text: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        controller_of(Candidate(components={"program": text}))
    assert "\n" not in str(caught.value)


async def test_outside_an_episode_it_does_not_decide() -> None:
    controller = controller_of(builtin.sample())
    with pytest.raises(UsageError, match="decides within an episode"):
        await controller.policies["stop"].decide(View(a_task(), {}, ("continue", "done")))


def test_a_program_of_a_model_tier_has_a_model() -> None:
    source = builtin.sample().components["program"]
    with pytest.raises(UsageError, match="resident or frontier"):
        Program(source, tier="frontier")


def test_another_event_loop_may_ask_too() -> None:
    controller = controller_of(builtin.sample())
    for _ in range(2):
        assert asyncio.run(said(controller, [], around()))["topology"] == "fanout_1"


def test_nothing_of_it_is_a_predictor() -> None:
    assert controller_of(builtin.sample()).named_parameters() == []
    assert isinstance(controller_of(builtin.sample()), dspy.Module)
