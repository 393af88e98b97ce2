from __future__ import annotations

import asyncio
import copy
import os
import pickle
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import closing

import pytest
from hypothesis import given, settings

from controllers.isolation import works
from controllers.programs.host import Host, HostLimits
from controllers.programs.wire import (
    Answer,
    Call,
    Choice,
    Critique,
    Done,
    FanoutCall,
    Left,
    Shot,
    ShotCall,
    Shots,
    Tools,
)
from controllers.supervise import descendants
from signatures.errors import ProgramFault, ProgramRefused, UsageError
from tests.worlds.programs import programs

pytestmark = pytest.mark.skipif(not works("rlimits"), reason="needs Linux")
REFINE = """async def strategy(ctx):
    shot = await ctx.shot()
    for _ in range(8):
        left = await ctx.budget()
        if shot.passed or left.attempts < 1:
            return
        shot = await ctx.shot(start="last", steer="untried")
"""


def shot(index: int, *, passed: bool = False) -> Shot:
    return Shot(
        index=index,
        outcome="ok",
        action="none",
        passed=passed,
        correct=index / 8,
        progress=0.0,
        turns=1,
        errors=0,
        repeats=index % 2,
        features={"stalled": 1.0},
    )


def answer_to(call: Call, number: int) -> Answer:
    """An answer that fits, a function of what was asked and of how many were given."""
    if isinstance(call, ShotCall):
        return shot(number)
    if isinstance(call, FanoutCall):
        return Shots(shots=tuple(shot(number + n) for n in range(call.n)))
    if call.kind == "consult":
        return Choice(option="done")
    given: dict[str, Answer] = {
        "critique": Critique(features={"repeats": 1.0}),
        "tools": Tools(tools=("press",), actions=("none", "look")),
        "budget": Left(attempts=number % 3),
    }
    return given[call.kind]


async def played(host: Host, most: int = 12) -> list[object]:
    """The calls a program makes, and how it ends."""
    answers: list[Answer] = []
    found: list[object] = []
    for number in range(most):
        try:
            call = await host.next_call(answers)
        except ProgramFault as fault:
            return [*found, fault.kind, str(fault)]
        found.append(call)
        if isinstance(call, Done):
            break
        answers.append(answer_to(call, number))
    return found


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    before = set(descendants(os.getpid()))
    made = Host(REFINE)
    yield made
    made.close()
    assert before.issuperset(descendants(os.getpid()))


async def test_it_goes_from_call_to_call_until_done(host: Host) -> None:
    answers: list[Answer] = []
    assert await host.next_call(answers) == ShotCall()
    answers += [shot(0), Left(attempts=3)]
    assert await host.next_call(answers) == ShotCall(start="last", steer="untried")
    answers += [shot(1, passed=True), Left(attempts=2)]
    assert await host.next_call(answers) == Done()
    assert await host.next_call(answers * 2) == Done()


async def test_it_keeps_nothing_between_questions(host: Host) -> None:
    """Episodes may ask in any order: an answer depends on what is told, and on nothing told before."""
    passed: Sequence[Answer] = [shot(0, passed=True), Left()]
    failed: Sequence[Answer] = [shot(0), Left(attempts=1)]
    for _ in range(3):
        calls = await asyncio.gather(*(host.next_call(a) for a in (passed, failed, [], failed, passed)))
        assert [call.kind for call in calls] == ["done", "shot", "shot", "shot", "done"]


@given(programs())
@settings(max_examples=6, deadline=None)
async def test_the_same_answers_give_the_same_calls(source: str) -> None:
    one, two = Host(source), Host(source)
    try:
        assert await played(one) == await played(one) == await played(two)
    finally:
        one.close()
        two.close()


async def test_an_answer_for_another_call_is_the_callers_mistake(host: Host) -> None:
    with pytest.raises(UsageError, match="answer 0 is for budget") as error:
        await host.next_call([Left()])
    assert not isinstance(error.value, ProgramFault)


def test_a_text_outside_the_language_starts_nothing() -> None:
    before = set(descendants(os.getpid()))
    with pytest.raises(ProgramRefused):
        Host("import os")
    assert before.issuperset(descendants(os.getpid()))


async def test_killed_from_outside_it_is_asked_again(host: Host) -> None:
    """A death that is not the program's doing is no fault of the program."""
    before = set(descendants(os.getpid()))
    assert await host.next_call([]) == ShotCall()
    youngest = max(set(descendants(os.getpid())) - before)
    os.kill(youngest, signal.SIGKILL)
    assert await host.next_call([]) == ShotCall()


async def test_cancelled_it_starts_afresh() -> None:
    host = Host(REFINE)
    asking = asyncio.create_task(host.next_call([]))
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await host.next_call([]) == ShotCall()
    host.close()


def test_it_serves_one_event_loop_after_another() -> None:
    host = Host(REFINE)
    assert [asyncio.run(host.next_call([])) for _ in range(2)] == [ShotCall()] * 2
    host.close()
    host.close()


async def test_a_copy_has_a_process_of_its_own(host: Host) -> None:
    assert await host.next_call([]) == ShotCall()
    for other in (copy.deepcopy(host), pickle.loads(pickle.dumps(host))):
        assert (other.source, other.limits) == (host.source, host.limits)
        assert await other.next_call([]) == ShotCall()
        other.close()
    assert await host.next_call([]) == ShotCall()


async def test_limits_are_its_own() -> None:
    long = "async def strategy(ctx):\n    for a in range(60):\n        x = a\n"
    with closing(Host(long)) as host:
        assert await host.next_call([]) == Done()
    for limits in (HostLimits(steps=50), HostLimits(calls=1)):
        host = Host(long + "    await ctx.shot()\n    await ctx.shot()\n", limits=limits)
        with pytest.raises(ProgramFault) as fault:
            await host.next_call([shot(0)])
        host.close()
        assert fault.value.kind == "cpu"
