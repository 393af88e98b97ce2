"""Gemini CLI's event lines, spoken by a stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from controllers.profiles import Said
from controllers.profiles.gemini import GeminiProfile
from signatures.errors import ProviderError
from tests.controllers.standin import TASK, StandIn, shape, stand_in

STATS = {"total_tokens": 130, "input_tokens": 100, "output_tokens": 20, "cached": 40, "input": 60, "tool_calls": 1}
INIT = {"type": "init", "session_id": "s", "model": "m-1"}
DONE = {"type": "result", "status": "success", "stats": STATS}


def said(text: str) -> dict[str, object]:
    return {"type": "message", "role": "assistant", "content": text, "delta": True}


NORMAL = (
    INIT,
    {"type": "message", "role": "user", "content": "the task"},
    said("I "),
    said("look."),
    {"type": "tool_use", "tool_name": "read_file", "tool_id": "t1", "parameters": {"path": "a.py"}},
    {"type": "tool_result", "tool_id": "t1", "status": "success", "output": "x = 1"},
    said("Mended"),
    said("."),
    DONE,
)


@pytest.fixture
def agent(tmp_path: Path) -> StandIn:
    agent = stand_in(tmp_path, "gemini")
    agent.says(*NORMAL)
    return agent


async def test_a_whole_stream_gives_answer_events_and_cost(agent: StandIn) -> None:
    result = await agent.attempt()
    assert (result.output, result.outcome) == ("Mended.", "ok")
    assert shape(result) == [
        ("message", "assistant", "I look.", False),
        ("tool", "read_file", "x = 1", False),
        ("message", "assistant", "Mended.", False),
    ]
    cost = result.cost
    assert (cost.turns, cost.tokens_in, cost.tokens_out, cost.tokens_cached, cost.usd) == (1, 100, 20, 40, None)


async def test_task_and_steer_come_on_standard_input(agent: StandIn) -> None:
    await agent.attempt("--yolo", steer="Look again.", model="m-1")
    assert agent.heard["stdin"] == f"{TASK.prompt}\n\nLook again."
    argv = agent.heard["argv"]
    assert isinstance(argv, list)
    assert argv[:2] == ["--output-format", "stream-json"]
    assert argv[2:] == ["--skip-trust", "--model", "m-1", "--yolo"]
    await agent.attempt()
    assert agent.heard["argv"] == [*argv[:3], "--approval-mode", "auto_edit"]


@pytest.mark.parametrize(
    ("kind", "message", "retryable"),
    [
        ("FatalAuthenticationError", "no key", False),
        ("ApiError", "[API Error: 503 The model is overloaded]", True),
        ("TerminalQuotaError", "daily quota", False),
    ],
)
async def test_a_provider_that_fails_is_infrastructure(
    agent: StandIn, kind: str, message: str, retryable: bool
) -> None:
    agent.says(INIT, {"type": "result", "status": "error", "error": {"type": kind, "message": message}}, exit_code=1)
    with pytest.raises(ProviderError, match=kind) as caught:
        await agent.attempt()
    assert caught.value.retryable is retryable


BLOCKED = {
    "type": "error",
    "severity": "error",
    "message": "The model response was blocked due to safety settings.",
}
TURNS = {"type": "FatalTurnLimitedError", "message": "Reached max session turns"}


@pytest.mark.parametrize(
    ("ending", "kind", "outcome"),
    [
        ((BLOCKED, {**DONE, "status": "error"}), "refusal", "refusal"),
        (({"type": "result", "status": "error", "error": TURNS},), "limit", "ok"),
        (({"type": "error", "severity": "error", "message": "Maximum session turns exceeded"}, DONE), "limit", "ok"),
        (({"type": "result", "status": "error", "error": {"type": "Odd", "message": "?"}},), "error", "ok"),
        ((), "cut", "ok"),
    ],
)
async def test_endings(agent: StandIn, ending: tuple[dict[str, object], ...], kind: str, outcome: str) -> None:
    agent.says(INIT, said("So far."), *ending)
    result = await agent.attempt()
    assert (result.output, result.outcome, shape(result)[-1][1]) == ("So far.", outcome, kind)


async def test_a_warning_ends_nothing_and_no_tokens_are_none(agent: StandIn) -> None:
    warning = {"type": "error", "severity": "warning", "message": "Loop detected, stopping execution"}
    agent.says(INIT, warning, said("x"), {**DONE, "stats": dict.fromkeys(STATS, 0)})
    result = await agent.attempt()
    assert [one[1] for one in shape(result)] == ["warning", "assistant"]
    assert (result.cost.tokens_in, result.cost.tokens_out) == (None, None)


def test_it_never_raises_for_what_was_said() -> None:
    for text in ("", "1", '{"type":"message","role":"assistant"}', '{"type":"tool_result"}', '{"type":"result"}'):
        assert GeminiProfile().read(Said(text)).answer == ""
