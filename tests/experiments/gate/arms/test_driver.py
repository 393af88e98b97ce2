"""The driver: what its tools show, what it is billed, and that a verdict has no way into its prompts."""

from __future__ import annotations

import pytest

from controllers.history import Seen
from controllers.scripted_engine import scripted_lm
from experiments.gate.arms.driver import PAGE, AgentSteer, Attempts
from signatures.errors import FirewallBreach
from signatures.records import Attempt, CheckerResult, Steer, Task, TraceEvent, WorkerFingerprint

TASK = Task(digest="t", benchmark="b", prompt="Mend it.")


def seen(number: int, events: int = 30) -> Seen:
    check = CheckerResult(objective="correct", value=0.5, unit="share", passed=False, detail=f"lit: fan {number}")
    trace = tuple(
        TraceEvent(turn=n, kind="tool", name="work", text=f"healthy {number}.{n}", failed=n == 7) for n in range(events)
    )
    attempt = Attempt(
        id=f"a{number}",
        episode_id="e",
        round=number,
        index=number,
        task_digest="t",
        benchmark="b",
        worker=WorkerFingerprint(name="w"),
        steer=Steer(),
        checks=(check,),
        outcome="ok",
    )
    return Seen(attempt, trace)


HISTORY = (seen(1), seen(2))


def said(**fields: str) -> str:
    return "\n\n".join([*(f"[[ ## {name} ## ]]\n{text}" for name, text in fields.items()), "[[ ## completed ## ]]"])


def reader(prompt: str) -> str:
    """Read attempt 2 once, then finish, then write what was read."""
    if "starting with the field `[[ ## next_thought ## ]]`" not in prompt.replace("\n", " "):
        return said(reasoning="It is the fan.", steer="Work on the fan." if "healthy 2.0" in prompt else "Blind.")
    if "healthy 2.0" in prompt:
        return said(next_thought="Enough.", next_tool_name="finish", next_tool_args="{}")
    return said(next_thought="Read.", next_tool_name="read_attempt", next_tool_args='{"number": 2}')


def test_a_page_is_what_is_asked_for_and_every_line_is_delimited() -> None:
    page = Attempts(HISTORY).read_attempt(2, 5).splitlines()
    assert page[0] == f"attempt 2, {PAGE} of 31 observations from 5 on"
    assert len(page) == PAGE + 1
    assert "healthy 2.5" in page[1]
    assert all(line.startswith("<observation source='") for line in page[1:])


def test_what_is_not_there_is_said() -> None:
    assert Attempts(HISTORY).read_attempt(3) == "there are attempts 1 to 2"
    assert Attempts(HISTORY).find("nowhere") == "0 observations hold it, the latest are"
    assert "failed" in Attempts(HISTORY).find("healthy 1.7")


def test_the_overview_is_what_checkers_said() -> None:
    assert [line.count("lit: fan") for line in Attempts(HISTORY).overview()] == [1, 1]


async def test_the_driver_reads_with_its_tools_and_every_call_is_billed() -> None:
    lm, engine = scripted_lm(reader)
    steer, cost = await AgentSteer(lm).steer(TASK, HISTORY, 0)
    assert steer == Steer(kind="analyst", action="text", text="Work on the fan.")
    assert len(engine.prompts) == 3
    assert cost.tokens_in == sum(len(prompt.split()) for prompt in engine.prompts)


async def test_it_stops_reading_after_its_steps() -> None:
    def restless(prompt: str) -> str:
        done = "starting with the field `[[ ## next_thought ## ]]`" not in prompt.replace("\n", " ")
        if done:
            return said(reasoning="Enough.", steer="Go on.")
        return said(next_thought="More.", next_tool_name="find", next_tool_args='{"word": "x"}')

    lm, engine = scripted_lm(restless)
    steer, _ = await AgentSteer(lm, steps=2).steer(TASK, HISTORY, 0)
    assert steer.text == "Go on."
    assert len(engine.prompts) == 3


async def test_an_answer_that_cannot_be_read_says_nothing_and_is_billed() -> None:
    lm, engine = scripted_lm(lambda prompt: "no fields at all")
    steer, cost = await AgentSteer(lm).steer(TASK, HISTORY, 0)
    assert steer.text == ""
    assert engine.prompts
    assert cost.tokens_out


async def test_what_is_no_observation_never_reaches_the_model() -> None:
    forged = CheckerResult.model_construct(objective="correct", value={"canary": 1}, unit="share")
    attempt = HISTORY[0].attempt.model_copy(update={"checks": (forged,)})
    lm, engine = scripted_lm(reader)
    with pytest.raises(FirewallBreach):
        await AgentSteer(lm).steer(TASK, (Seen(attempt, ()),), 0)
    assert engine.prompts == []
