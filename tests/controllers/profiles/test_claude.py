"""Claude Code's stream, spoken by a stand-in: normal, refused, limited, failed, cut, strange and huge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controllers import Worker
from controllers.profiles import Ask, Said
from controllers.profiles.claude import ClaudeProfile
from controllers.testing_workers import WorkerContract
from controllers.workers.command import CommandWorker
from signatures.errors import ProviderError, WorkerError
from signatures.records import Task
from tests.controllers.standin import TASK, StandIn, shape, stand_in

INIT = {"type": "system", "subtype": "init", "session_id": "s", "model": "m-1", "tools": ["Bash"], "cwd": "/w"}
CALL = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}
RESULT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "num_turns": 2,
    "result": "Mended.",
    "stop_reason": "end_turn",
    "total_cost_usd": 0.25,
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 30,
        "output_tokens": 4,
    },
    "session_id": "s",
}


def assistant(*blocks: object, **more: object) -> dict[str, object]:
    return {"type": "assistant", "message": {"role": "assistant", "content": list(blocks)}, "session_id": "s", **more}


def came_back(text: object, *, error: bool = False) -> dict[str, object]:
    block = {"type": "tool_result", "tool_use_id": "t1", "content": text, "is_error": error}
    return {"type": "user", "message": {"role": "user", "content": [block]}, "session_id": "s"}


NORMAL = (INIT, assistant({"type": "text", "text": "I look."}), assistant(CALL), came_back("a.py"), RESULT)


@pytest.fixture
def agent(tmp_path: Path) -> StandIn:
    agent = stand_in(tmp_path, "claude")
    agent.says(*NORMAL)
    return agent


class TestContract(WorkerContract):
    @pytest.fixture
    def worker(self, agent: StandIn) -> Worker:
        return CommandWorker(agent.config())

    @pytest.fixture
    def task(self) -> Task:
        return TASK


async def test_a_whole_stream_gives_answer_events_and_cost(agent: StandIn) -> None:
    result = await agent.attempt()
    assert (result.output, result.outcome) == ("Mended.", "ok")
    assert shape(result) == [("message", "assistant", "I look.", False), ("tool", "Bash", "a.py", False)]
    assert json.loads(result.trace[1].arguments) == {"command": "ls"}
    cost = result.cost
    assert (cost.turns, cost.tokens_in, cost.tokens_out, cost.tokens_cached, cost.usd) == (1, 60, 4, 30, 0.25)
    assert cost.wall_s is not None
    assert result.state is not None


async def test_task_and_steer_come_on_standard_input_and_the_rest_as_words(agent: StandIn) -> None:
    await agent.attempt("--permission-mode", "bypassPermissions", steer="Look again.", model="m-1")
    assert agent.heard["stdin"] == f"{TASK.prompt}\n\nLook again."
    argv = agent.heard["argv"]
    assert isinstance(argv, list)
    assert argv[:4] == ["--print", "--output-format", "stream-json", "--verbose"]
    assert argv[4:] == ["--model", "m-1", "--permission-mode", "bypassPermissions"]
    await agent.attempt()
    assert agent.heard["argv"] == [*argv[:4], "--permission-mode", "acceptEdits"]


def test_it_can_be_told_a_limit_of_turns() -> None:
    assert ClaudeProfile().words(Ask(turns_limit=7))[-2:] == ("--max-turns", "7")


async def test_the_tokens_of_all_its_models_count() -> None:
    usage = {"inputTokens": 1, "outputTokens": 2, "cacheReadInputTokens": 3, "cacheCreationInputTokens": 4}
    line = json.dumps({**RESULT, "modelUsage": {"big": usage, "small": usage}})
    cost = ClaudeProfile().read(Said(line)).cost
    assert (cost.tokens_in, cost.tokens_out, cost.tokens_cached) == (16, 4, 6)


async def test_a_refusal_is_an_outcome(agent: StandIn) -> None:
    agent.says(INIT, {**RESULT, "stop_reason": "refusal", "result": "I will not."})
    result = await agent.attempt()
    assert (result.outcome, shape(result)) == ("refusal", [("error", "refusal", "I will not.", True)])


async def test_its_limits_end_with_what_was_said_last(agent: StandIn) -> None:
    over = {**RESULT, "subtype": "error_max_turns", "is_error": True, "errors": ["Reached maximum"]}
    del over["result"]
    agent.says(*NORMAL[:-1], over, exit_code=1)
    result = await agent.attempt()
    assert (result.output, result.outcome, shape(result)[-1][1:3]) == ("I look.", "ok", ("limit", "error_max_turns"))
    assert result.cost.usd == 0.25


@pytest.mark.parametrize(
    ("error", "retryable"), [("rate_limit", True), ("overloaded", True), ("authentication_failed", False)]
)
async def test_a_provider_that_fails_is_infrastructure(agent: StandIn, error: str, retryable: bool) -> None:
    said = assistant({"type": "text", "text": "API Error"}, error=error)
    agent.says(INIT, said, {**RESULT, "is_error": True, "result": "API Error: key sk-abcdefghijklmnop123 is bad"})
    with pytest.raises(ProviderError, match=error) as caught:
        await agent.attempt()
    assert caught.value.retryable is retryable
    assert "sk-abcdefghijklmnop123" not in str(caught.value)


async def test_a_cut_stream_keeps_what_was_said(agent: StandIn) -> None:
    whole = "".join(json.dumps(event) + "\n" for event in NORMAL[:3])
    agent.says(raw=whole.encode()[:-20], exit_code=137)
    result = await agent.attempt()
    assert (result.output, result.outcome) == ("I look.", "ok")
    assert shape(result)[-1] == ("error", "cut", "the output ends without a result", True)
    assert [e.name for e in result.trace if e.kind == "process" and e.failed] == ["output", "claude"]
    assert (result.cost.tokens_in, result.cost.usd) == (None, None)


async def test_a_call_without_a_result_is_on_the_trace_as_failed(agent: StandIn) -> None:
    agent.says(*NORMAL[:3])
    assert ("tool", "Bash", "", True) in shape(await agent.attempt())


async def test_strange_lines_are_on_the_trace_and_lose_nothing(agent: StandIn) -> None:
    agent.says(INIT, raw=b"Warning: \xff\n[1, 2]\n" + json.dumps(RESULT).encode())
    result = await agent.attempt()
    assert result.output == "Mended."
    strange = [event for event in result.trace if event.name == "output"]
    assert [event.text for event in strange] == ["not a JSON object:\nWarning: \\xff\n[1, 2]"]


async def test_events_of_another_shape_do_no_harm(agent: StandIn) -> None:
    odd = [{"type": "assistant", "message": 3}, {"type": "user", "message": {"content": "text"}}, {"type": None}, {}]
    usage = {"input_tokens": "many", "output_tokens": -1}
    agent.says(*odd, {**RESULT, "result": "\ud800", "usage": usage, "total_cost_usd": "dear", "modelUsage": []})
    result = await agent.attempt()
    assert (result.output, result.outcome) == ("?", "ok")
    assert (result.cost.tokens_in, result.cost.tokens_out, result.cost.usd) == (None, None, None)


async def test_a_huge_output_is_cut_and_says_so(agent: StandIn) -> None:
    agent.says(INIT, assistant({"type": "text", "text": "x" * 3_000_000}), RESULT)
    assert (await agent.attempt()).output == "Mended."
    cut = await agent.attempt(output_limit_bytes=1_000_000)
    assert [e.name for e in cut.trace if e.failed] == ["output", "cut", "claude", "output"]


async def test_out_of_time_is_a_timeout(agent: StandIn) -> None:
    agent.says(*NORMAL[:2], sleep_s=600)
    result = await agent.attempt(wall_limit_s=1.0)
    assert (result.output, result.outcome) == ("I look.", "timeout")


async def test_an_agent_that_never_began_is_infrastructure(agent: StandIn) -> None:
    agent.says(exit_code=1, stderr="Error: unknown option --print")
    with pytest.raises(WorkerError, match="exit code 1 before it said anything: Error: unknown option"):
        await agent.attempt()


async def test_keys_of_the_environment_reach_neither_trace_nor_output(agent: StandIn) -> None:
    key = "canary-1234567890"
    agent.says(INIT, assistant(CALL), came_back(f"OPENAI_API_KEY={key}"), {**RESULT, "result": key}, stderr=key)
    result = await agent.attempt(environment={"PATH": str(agent.folder), "SOME_API_KEY": key})
    assert key not in result.model_dump_json()
    assert result.output == "[redacted]"
    heard = agent.heard
    assert isinstance(heard["env"], dict)
    assert heard["env"]["SOME_API_KEY"] == key
    assert key not in json.dumps(heard["argv"])
