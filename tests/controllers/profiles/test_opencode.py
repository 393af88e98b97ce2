"""OpenCode's event lines, spoken by a stand-in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controllers.profiles import Ask, Said
from controllers.profiles.opencode import OpencodeProfile
from signatures.errors import ProviderError
from tests.controllers.standin import TASK, StandIn, shape, stand_in


def event(kind: str, **data: object) -> dict[str, object]:
    return {"type": kind, "timestamp": 1, "sessionID": "ses_1", **data}


def finish(reason: str, cost: float = 0.01) -> dict[str, object]:
    tokens = {"input": 5, "output": 6, "reasoning": 1, "cache": {"read": 100, "write": 10}}
    return event("step_finish", part={"type": "step-finish", "reason": reason, "cost": cost, "tokens": tokens})


def tool(status: str, **state: object) -> dict[str, object]:
    given = {"status": status, "input": {"command": "ls"}, **state}
    return event("tool_use", part={"type": "tool", "tool": "bash", "callID": "c", "state": given})


def text(words: str) -> dict[str, object]:
    return event("text", part={"type": "text", "text": words, "time": {"end": 1}})


NORMAL = (
    event("step_start", part={"type": "step-start"}),
    text("I look."),
    tool("completed", output="a.py"),
    finish("tool-calls"),
    text("Mended."),
    finish("stop"),
)


@pytest.fixture
def agent(tmp_path: Path) -> StandIn:
    agent = stand_in(tmp_path, "opencode")
    agent.says(*NORMAL)
    return agent


async def test_a_whole_stream_gives_answer_events_and_cost(agent: StandIn) -> None:
    result = await agent.attempt()
    assert (result.output, result.outcome) == ("Mended.", "ok")
    assert [one[:3] for one in shape(result)] == [
        ("message", "assistant", "I look."),
        ("tool", "bash", "a.py"),
        ("message", "assistant", "Mended."),
    ]
    cost = result.cost
    assert (cost.turns, cost.tokens_in, cost.tokens_out, cost.tokens_cached, cost.usd) == (1, 230, 14, 200, 0.02)


async def test_task_and_steer_come_on_standard_input(agent: StandIn) -> None:
    await agent.attempt("--auto", steer="Look again.", model="p/m-1")
    assert agent.heard["stdin"] == f"{TASK.prompt}\n\nLook again."
    assert agent.heard["argv"] == ["run", "--format", "json", "--model", "p/m-1", "--auto"]


def test_another_endpoint_is_told_by_its_settings() -> None:
    settings = OpencodeProfile().settings(Ask(base_url="http://127.0.0.1:9/v1"))
    config = json.loads(settings["OPENCODE_CONFIG_CONTENT"])
    assert config["provider"]["openai"]["options"]["baseURL"] == "http://127.0.0.1:9/v1"


async def test_a_price_of_nothing_is_no_price(agent: StandIn) -> None:
    agent.says(text("Done."), finish("stop", cost=0))
    assert (await agent.attempt()).cost.usd is None


async def test_a_tool_that_failed_and_a_permission_that_was_refused(agent: StandIn) -> None:
    agent.says(tool("error", error="denied"), raw=b"! permission requested: bash (rm); auto-rejecting\n")
    result = await agent.attempt()
    assert shape(result)[0] == ("tool", "bash", "denied", True)
    assert any("auto-rejecting" in one.text for one in result.trace if one.kind == "process")


@pytest.mark.parametrize(
    ("name", "data", "retryable"),
    [
        ("APIError", {"message": "slow down", "statusCode": 429, "isRetryable": True}, True),
        ("APIError", {"message": "bad", "statusCode": 401, "isRetryable": False}, False),
        ("ProviderAuthError", {"providerID": "p", "message": "no key"}, False),
    ],
)
async def test_a_provider_that_fails_is_infrastructure(
    agent: StandIn, name: str, data: dict[str, object], retryable: bool
) -> None:
    agent.says(NORMAL[0], event("error", error={"name": name, "data": data}), exit_code=1)
    with pytest.raises(ProviderError, match=name) as caught:
        await agent.attempt()
    assert caught.value.retryable is retryable


@pytest.mark.parametrize(
    ("ending", "kind", "outcome"),
    [
        (finish("content-filter"), "refusal", "refusal"),
        (event("error", error={"name": "ContentFilterError", "data": {"message": "no"}}), "refusal", "refusal"),
        (finish("length"), "limit", "ok"),
        (event("error", error={"name": "ContextOverflowError", "data": {"message": "long"}}), "limit", "ok"),
        (event("error", error={"name": "UnknownError", "data": {"message": "odd"}}), "error", "ok"),
        (finish("tool-calls"), "cut", "ok"),
    ],
)
async def test_endings(agent: StandIn, ending: dict[str, object], kind: str, outcome: str) -> None:
    agent.says(text("So far."), ending)
    result = await agent.attempt()
    assert (result.output, result.outcome, shape(result)[-1][1]) == ("So far.", outcome, kind)


async def test_done_ends_it_too(agent: StandIn) -> None:
    agent.says(text("Mended."), event("done", reason="idle", rejected=[]))
    assert [one[0] for one in shape(await agent.attempt())] == ["message"]


def test_it_never_raises_for_what_was_said() -> None:
    for said in (
        "",
        "[]",
        '{"type":"text"}',
        '{"type":"step_finish","part":{"tokens":4,"reason":[]}}',
        '{"type":"error"}',
    ):
        assert OpencodeProfile().read(Said(said)).answer == ""
