"""mini-swe-agent's trajectory file, written by a stand-in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controllers.profiles import Ask, Said
from controllers.profiles.mini import MiniProfile
from signatures.errors import ProviderError, UsageError
from tests.controllers.standin import TASK, StandIn, shape, stand_in

USAGE = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}}
ACTION = {"command": "ls", "tool_call_id": "c1"}
STEPS = (
    {"role": "system", "content": "You can use bash."},
    {"role": "user", "content": [{"type": "text", "text": "the task"}]},
    {
        "role": "assistant",
        "content": "I look.",
        "extra": {"actions": [ACTION], "cost": 0.1, "response": {"usage": USAGE}},
    },
    {"role": "tool", "tool_call_id": "c1", "content": '{"returncode": 1}', "extra": {"returncode": 1}},
    {"role": "assistant", "content": "Mended.", "extra": {"actions": [], "response": {"usage": USAGE}}},
)


def trajectory(status: str, *messages: object, submission: str = "", cost: float = 0.2) -> dict[str, object]:
    stats = {"instance_cost": cost, "api_calls": 2}
    info = {
        "model_stats": stats,
        "exit_status": status,
        "submission": submission,
        "config": {},
        "mini_version": "2.4.6",
    }
    return {"info": info, "messages": list(messages), "trajectory_format": "mini-swe-agent-1.1"}


def leave(status: str, words: str = "") -> dict[str, object]:
    return {"role": "exit", "content": words or status, "extra": {"exit_status": status, "submission": ""}}


@pytest.fixture
def agent(tmp_path: Path) -> StandIn:
    agent = stand_in(tmp_path, "mini")
    agent.says(raw=b"mini-swe-agent step 1\n")
    wrote(agent, trajectory("Submitted", *STEPS, leave("Submitted"), submission="the patch"))
    return agent


def wrote(agent: StandIn, whole: object) -> None:
    (agent.folder / "report").write_text(json.dumps(whole))


async def test_a_whole_trajectory_gives_answer_events_and_cost(agent: StandIn) -> None:
    result = await agent.attempt()
    assert (result.output, result.outcome) == ("the patch", "ok")
    assert shape(result) == [
        ("message", "system", "You can use bash.", False),
        ("message", "user", "the task", False),
        ("message", "assistant", "I look.", False),
        ("tool", "bash", '{"returncode": 1}', True),
        ("message", "assistant", "Mended.", False),
    ]
    cost = result.cost
    assert (cost.turns, cost.tokens_in, cost.tokens_out, cost.tokens_cached, cost.usd) == (1, 200, 14, 120, 0.2)


async def test_the_task_is_an_argument_and_the_report_lies_outside_the_workspace(agent: StandIn) -> None:
    await agent.attempt("-l", "3", steer="Look again.", model="openai/m-1")
    argv, cwd = agent.heard["argv"], agent.heard["cwd"]
    assert isinstance(argv, list)
    assert argv[:5] == ["-t", f"{TASK.prompt}\n\nLook again.", "-y", "--exit-immediately", "-o"]
    assert not argv[5].startswith(str(cwd))
    assert argv[6:] == ["-m", "openai/m-1", "-l", "3"]
    assert agent.heard["stdin"] == ""


def test_it_can_be_told_a_limit_of_turns() -> None:
    assert MiniProfile().words(Ask(turns_limit=7))[-4:] == ("-c", "mini.yaml", "-c", "agent.step_limit=7")


async def test_a_task_that_is_too_long_for_an_argument_is_refused(agent: StandIn) -> None:
    with pytest.raises(UsageError, match="longer than 'mini' can be told"):
        await agent.attempt(steer="x" * 130_000)


async def test_without_a_submission_the_last_words_are_the_answer(agent: StandIn) -> None:
    wrote(agent, trajectory("Submitted", *STEPS, leave("Submitted"), cost=0.0))
    result = await agent.attempt()
    assert (result.output, result.cost.usd) == ("Mended.", None)


@pytest.mark.parametrize(
    ("status", "retryable"), [("RateLimitError", True), ("InternalServerError", True), ("AuthenticationError", False)]
)
async def test_a_provider_that_fails_is_infrastructure(agent: StandIn, status: str, retryable: bool) -> None:
    wrote(agent, trajectory(status, *STEPS, leave(status, "it went wrong")))
    with pytest.raises(ProviderError, match=f"{status}: it went wrong") as caught:
        await agent.attempt()
    assert caught.value.retryable is retryable


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        ("LimitsExceeded", "limit", "ok"),
        ("ContentPolicyViolationError", "refusal", "refusal"),
        ("RepeatedFormatError", "error", "ok"),
        ("", "cut", "ok"),
    ],
)
async def test_endings(agent: StandIn, status: str, kind: str, outcome: str) -> None:
    wrote(agent, trajectory(status, *STEPS, *([leave(status)] if status else [])))
    result = await agent.attempt()
    assert (result.output, result.outcome, shape(result)[-1][1]) == ("Mended.", outcome, kind)


async def test_a_cut_file_and_a_missing_one_are_said(agent: StandIn) -> None:
    text = (agent.folder / "report").read_text()
    (agent.folder / "report").write_text(text[:-9])
    result = await agent.attempt()
    assert shape(result) == [("error", "cut", "the trajectory file cannot be read", True)]
    assert (result.outcome, result.cost.turns, result.cost.tokens_in) == ("empty", None, None)
    (agent.folder / "report").unlink()
    assert shape(await agent.attempt())[-1][2] == "no trajectory file"


def test_actions_that_are_plain_text_are_read_too() -> None:
    steps = [
        {"role": "assistant", "content": "```ls```", "extra": {"actions": [{"command": "ls"}]}},
        {"role": "user", "content": "a.py", "extra": {"returncode": 0}},
    ]
    events = MiniProfile().read(Said("", json.dumps(trajectory("Submitted", *steps)))).events
    assert [(event.kind, event.text) for event in events] == [("message", "```ls```"), ("tool", "a.py")]


def test_it_never_raises_for_what_was_written() -> None:
    for report in ("", "[]", '{"info": 3}', '{"messages": [1, {"content": {}}], "info": {"exit_status": 3}}'):
        MiniProfile().read(Said("", report))
