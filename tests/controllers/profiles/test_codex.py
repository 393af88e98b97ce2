"""Codex's event lines, spoken by a stand-in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controllers.profiles import Ask, Said
from controllers.profiles.codex import CodexProfile
from signatures.errors import ProviderError, WorkerError
from tests.controllers.standin import TASK, StandIn, shape, stand_in

START = ({"type": "thread.started", "thread_id": "0199"}, {"type": "turn.started"})
USAGE = {"input_tokens": 500, "cached_input_tokens": 400, "output_tokens": 30, "reasoning_output_tokens": 10}
DONE = {"type": "turn.completed", "usage": USAGE}


def item(kind: str, *, done: bool = True, **fields: object) -> dict[str, object]:
    return {"type": "item.completed" if done else "item.started", "item": {"id": "item_1", "type": kind, **fields}}


RUNNING = {"command": "bash -lc ls", "aggregated_output": "", "status": "in_progress"}
RAN = {"command": "bash -lc ls", "aggregated_output": "a.py\n", "exit_code": 0, "status": "completed"}
NORMAL = (
    *START,
    item("reasoning", text="**Looking**"),
    item("command_execution", done=False, **RUNNING),
    item("command_execution", **RAN),
    item("file_change", changes=[{"path": "a.py", "kind": "update"}], status="completed"),
    item("agent_message", text="Mended."),
    DONE,
)


@pytest.fixture
def agent(tmp_path: Path) -> StandIn:
    agent = stand_in(tmp_path, "codex")
    agent.says(*NORMAL)
    return agent


async def test_a_whole_stream_gives_answer_events_and_cost(agent: StandIn) -> None:
    result = await agent.attempt()
    assert (result.output, result.outcome) == ("Mended.", "ok")
    assert shape(result) == [
        ("message", "reasoning", "**Looking**", False),
        ("tool", "command_execution", "a.py\n", False),
        ("tool", "file_change", "", False),
        ("message", "assistant", "Mended.", False),
    ]
    assert json.loads(result.trace[1].arguments) == {"command": "bash -lc ls"}
    cost = result.cost
    assert (cost.turns, cost.tokens_in, cost.tokens_out, cost.tokens_cached, cost.usd) == (2, 500, 30, 400, None)


async def test_task_and_steer_come_on_standard_input(agent: StandIn) -> None:
    await agent.attempt("--config", "x=1", steer="Look again.", model="m-1")
    assert agent.heard["stdin"] == f"{TASK.prompt}\n\nLook again."
    argv = agent.heard["argv"]
    assert isinstance(argv, list)
    assert argv[:2] == ["exec", "--json"]
    assert argv[-4:] == ["--model", "m-1", "--config", "x=1"]


def test_an_option_of_the_users_is_not_given_twice() -> None:
    assert "--sandbox" in CodexProfile().words(Ask())
    for words in (("--sandbox", "read-only"), ("--sandbox=read-only",), ("-s", "read-only")):
        assert "--sandbox" not in CodexProfile().words(Ask(words=words))


def test_another_endpoint_is_a_provider_whose_key_is_in_the_environment() -> None:
    words = " ".join(CodexProfile().words(Ask(base_url="http://127.0.0.1:9/v1")))
    assert 'model_provider="tiller"' in words
    assert 'model_providers.tiller.base_url="http://127.0.0.1:9/v1"' in words
    assert 'model_providers.tiller.env_key="OPENAI_API_KEY"' in words


async def test_tools_that_failed_and_other_items(agent: StandIn) -> None:
    agent.says(
        *START,
        item("command_execution", **{**RAN, "exit_code": 2, "status": "failed"}),
        item("mcp_tool_call", server="s", tool="t", arguments={"q": 1}, status="failed", error={"message": "no"}),
        item("web_search", query="how", id="item_2"),
        item("todo_list", items=[{"text": "look", "completed": True}]),
        item("error", message="a warning"),
        item("brand_new", what="?"),
        DONE,
    )
    found = shape(await agent.attempt())
    assert [one[3] for one in found] == [True, True, False, False, True, False]
    assert found[1] == ("tool", "mcp_tool_call", "no", True)
    assert found[4] == ("error", "item", "a warning", True)


@pytest.mark.parametrize(
    ("message", "retryable"),
    [
        ("exceeded retry limit, last status: 429 Too Many Requests", True),
        ("stream disconnected before completion: error sending request", True),
        ("unexpected status 401 Unauthorized: bad key", False),
        ("You've hit your usage limit. Try again at 5 PM.", False),
    ],
)
async def test_a_provider_that_fails_is_infrastructure(agent: StandIn, message: str, retryable: bool) -> None:
    agent.says(*START, {"type": "error", "message": message}, {"type": "turn.failed", "error": {"message": message}})
    with pytest.raises(ProviderError) as caught:
        await agent.attempt()
    assert caught.value.retryable is retryable


async def test_a_full_context_is_a_limit_and_another_failure_an_error(agent: StandIn) -> None:
    for message, kind in (("Codex ran out of room in the model's context window.", "limit"), ("what?", "error")):
        failed = {"type": "turn.failed", "error": {"message": message}}
        agent.says(*START, item("agent_message", text="So far."), failed, exit_code=1)
        result = await agent.attempt()
        assert (result.output, result.outcome, shape(result)[-1]) == ("So far.", "ok", ("error", kind, message, True))


async def test_a_cut_stream_keeps_what_was_said(agent: StandIn) -> None:
    agent.says(*NORMAL[:4], raw=b'{"type": "item.comp', exit_code=137)
    result = await agent.attempt()
    assert result.outcome == "empty"
    assert [one[1] for one in shape(result)] == ["reasoning", "command_execution", "cut"]
    assert result.cost.tokens_in is None


async def test_an_agent_that_never_began_is_infrastructure(agent: StandIn) -> None:
    agent.says(raw=b"not json\n", exit_code=1, stderr="Not inside a trusted directory")
    with pytest.raises(WorkerError, match="Not inside a trusted directory"):
        await agent.attempt()


def test_it_never_raises_for_what_was_said() -> None:
    for text in ("", "\n\n", "null", '{"type":"item.completed","item":7}', '{"type":"turn.completed","usage":[]}'):
        assert CodexProfile().read(Said(text)).answer == ""
