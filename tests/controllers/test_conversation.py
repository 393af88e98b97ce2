"""One attempt of a chat model, against a scripted engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dspy
import pytest
from dspy.lm15 import ContextLengthError, Message, RefusalPart, Request, Response, TextPart, ToolCallPart, Usage

from controllers.conversation import GO_ON, Conversation, Protocol
from signatures.errors import ProviderError, UsageError


class Lamp:
    """A session with one lamp: `press` toggles it, `look` tells."""

    def __init__(self) -> None:
        self.lit = False

    def call(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        if tool == "press":
            self.lit = not self.lit
        return (f"lit={self.lit} {dict(arguments)}", False) if tool in ("press", "look") else ("no such tool", True)

    def snapshot(self) -> str:
        return json.dumps(self.lit)


Reply = str | Message | Response | Exception


class Engine:
    """Gives its replies in turn, and keeps the requests."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.replies = list(replies)
        self.requests: list[Request] = []

    def complete(self, request: Request) -> Response:
        raise NotImplementedError("only the async path is used")

    def reply_to(self, request: Request) -> Response:
        self.requests.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, Response) else response(reply)


class AsyncEngine:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def complete(self, request: Request) -> Response:
        return self.engine.reply_to(request)


def response(reply: str | Message, finish: Any = "stop") -> Response:
    message = Message.assistant(reply) if isinstance(reply, str) else reply
    usage = Usage(input_tokens=10, output_tokens=2, cache_read_tokens=4)
    return Response(id=None, model="m", message=message, finish_reason=finish, usage=usage)


def make(
    replies: Sequence[Reply], *, session: Lamp | None = None, protocol: Protocol = "json"
) -> tuple[Conversation, Engine]:
    engine = Engine(replies)
    lm = dspy.LM("scripted", engine=engine, async_engine=AsyncEngine(engine), cache=False, num_retries=0)
    request: Callable[[list[Any]], Request] = lambda messages: Request(model="scripted", messages=tuple(messages))  # noqa: E731
    return Conversation(lm, request, session, protocol), engine


def call(name: str, **arguments: object) -> str:
    return json.dumps({"tool": name, "arguments": arguments})


def kinds(talk: Conversation) -> list[tuple[int, str, str]]:
    return [(event.turn, event.kind, event.name) for event in talk.events]


async def test_without_tools_the_first_reply_is_the_answer() -> None:
    talk, engine = make(["42"])
    talk.open("How many?", "Count twice.", None)
    await talk.run(5)
    assert (talk.answer, talk.outcome, talk.turns) == ("42", "ok", 1)
    assert [m.text for m in engine.requests[0].messages] == ["How many?\n\nCount twice."]
    assert kinds(talk) == [(0, "message", "assistant")]


async def test_tools_are_called_until_an_answer() -> None:
    lamp = Lamp()
    talk, engine = make([call("press"), call("look", far=True), '{"answer": "done"}'], session=lamp)
    talk.open("Light it.", "", None)
    await talk.run(9)
    assert (lamp.lit, talk.answer, talk.outcome, talk.turns) == (True, "done", "ok", 2)
    tools = [event for event in talk.events if event.kind == "tool"]
    assert [(t.turn, t.name, t.arguments, t.failed) for t in tools] == [
        (0, "press", "{}", False),
        (1, "look", '{"far":true}', False),
    ]
    told = json.loads(engine.requests[2].messages[-1].text or "")
    assert told == {"tool": "look", "failed": False, "result": "lit=True {'far': True}"}


async def test_usage_is_added_over_calls() -> None:
    talk, _ = make([call("look"), '{"answer": "x"}'], session=Lamp())
    talk.open("p", "", None)
    await talk.run(9)
    assert (talk.cost.tokens_in, talk.cost.tokens_out, talk.cost.tokens_cached, talk.cost.usd) == (20, 4, 8, None)


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_the_turns_limit_ends_it(limit: int) -> None:
    talk, engine = make([call("press")] * 9, session=Lamp())
    talk.open("p", "", None)
    await talk.run(limit)
    assert (talk.turns, len(engine.requests)) == (limit, limit)
    assert talk.outcome == ("ok" if limit else "empty")


async def test_unreadable_replies_take_turns_and_are_told() -> None:
    talk, engine = make(["Let me think.", "", call("look")], session=Lamp())
    talk.open("p", "", None)
    await talk.run(3)
    assert [event.name for event in talk.events if event.kind == "error"] == ["reply", "reply"]
    assert (talk.turns, talk.outcome) == (3, "ok")
    last = engine.requests[2].messages
    assert all(m.text for m in last)  # an empty reply is not sent back
    assert "could not be read" in (last[-1].text or "")


async def test_only_unreadable_or_empty_replies_are_an_empty_outcome() -> None:
    talk, _ = make(["?"] * 4, session=Lamp())
    talk.open("p", "", None)
    await talk.run(4)
    assert talk.outcome == "empty"
    talk, _ = make([" "])
    talk.open("p", "", None)
    await talk.run(4)
    assert (talk.outcome, talk.turns) == ("empty", 1)


async def test_a_failed_tool_is_an_observation() -> None:
    talk, _ = make([call("fly"), '{"answer": "x"}'], session=Lamp())
    talk.open("p", "", None)
    await talk.run(4)
    assert [event.failed for event in talk.events if event.kind == "tool"] == [True]


@pytest.mark.parametrize(
    "reply",
    [
        Message(role="assistant", parts=(RefusalPart("I will not."),)),
        response("partly", finish="content_filter"),
    ],
)
async def test_a_refusal_is_an_outcome(reply: Message | Response) -> None:
    talk, _ = make([reply], session=Lamp())
    talk.open("p", "", None)
    await talk.run(4)
    assert talk.outcome == "refusal"
    assert [event.name for event in talk.events if event.kind == "error"] == ["refusal"]


async def test_a_reply_cut_by_the_model_is_noted_and_read() -> None:
    talk, _ = make([response("long ans", finish="length")])
    talk.open("p", "", None)
    await talk.run(4)
    assert (talk.answer, talk.outcome) == ("long ans", "ok")
    assert [event.name for event in talk.events if event.kind == "error"] == ["length"]


async def test_native_calls_are_run_together_and_answered_by_id() -> None:
    lamp = Lamp()
    both = Message(
        role="assistant",
        parts=(TextPart("I press and look."), ToolCallPart("a", "press", {}), ToolCallPart("b", "look", {"x": 1})),
    )
    talk, engine = make([both, "It is lit."], session=lamp, protocol="native")
    talk.open("p", "", None)
    await talk.run(9)
    assert (talk.turns, talk.answer, lamp.lit) == (2, "It is lit.", True)
    results = engine.requests[1].messages[-1]
    assert (results.role, [part.id for part in results.parts]) == ("tool", ["a", "b"])


async def test_native_calls_beyond_the_limit_are_not_run() -> None:
    lamp = Lamp()
    many = Message(role="assistant", parts=tuple(ToolCallPart(str(n), "press", {}) for n in range(3)))
    talk, _ = make([many], session=lamp, protocol="native")
    talk.open("p", "", None)
    await talk.run(2)
    assert (talk.turns, lamp.lit) == (2, False)


async def test_the_conversation_can_be_gone_on_from() -> None:
    first, _ = make(["one"])
    first.open("p", "", None)
    await first.run(1)
    for steer, said in (("Again.", "Again."), ("", GO_ON)):
        second, engine = make(["two"])
        second.open("p", steer, first.text())
        await second.run(1)
        messages = engine.requests[0].messages
        assert [(m.role, m.text) for m in messages] == [("user", "p"), ("assistant", "one"), ("user", said)]


@pytest.mark.parametrize("start", ["no json", "3", '[{"role": "user"}]'])
def test_another_start_state_is_refused(start: str) -> None:
    talk, _ = make([])
    with pytest.raises(UsageError, match="not a conversation"):
        talk.open("p", "", start)


async def test_a_conversation_that_outgrows_the_model_ends_as_it_stands() -> None:
    talk, _ = make([call("press"), ContextLengthError("too long")], session=Lamp())
    talk.open("p", "", None)
    await talk.run(9)
    assert (talk.outcome, talk.turns, talk.events[-1].name) == ("ok", 1, "context")


async def test_a_prompt_that_never_fitted_is_an_error() -> None:
    talk, _ = make([ContextLengthError("too long")])
    talk.open("p", "", None)
    with pytest.raises(ProviderError):
        await talk.run(9)


class SlowLamp(Lamp):
    """A lamp that is pressed for as long as it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.pressed, self.go_on = asyncio.Event(), asyncio.Event()

    async def acall(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        self.pressed.set()
        await self.go_on.wait()
        return self.call(tool, arguments)


async def test_a_call_that_was_begun_is_on_the_trace_of_a_conversation_that_was_stopped() -> None:
    lamp = SlowLamp()
    talk, engine = make([call("press"), call("look")], session=lamp)
    talk.open("Light it.", "", None)
    talking = asyncio.create_task(talk.run(5))
    await lamp.pressed.wait()
    talking.cancel()
    await asyncio.sleep(0)
    assert not talking.done(), "what it changes is not known yet"
    lamp.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await talking
    assert lamp.lit and kinds(talk)[-1] == (0, "tool", "press")
    assert (talk.turns, len(engine.requests)) == (1, 1)
