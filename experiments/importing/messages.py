"""Chat messages as a trace: the shapes in which agents write them down, and what of them an observation may hold.

A call and its result become one `tool` event. Reasoning that a provider kept apart is not part of the trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import JsonValue

from experiments.importing.reading import Read
from signatures.digest import canonical_json
from signatures.records import TraceEvent


class Call(NamedTuple):
    """A tool call."""

    id: str
    name: str
    arguments: str
    "as JSON text"


class Said(NamedTuple):
    """One message."""

    role: str
    text: str = ""
    calls: tuple[Call, ...] = ()
    answers: str = ""
    "of a tool's message: the id of the call"
    name: str = ""
    "of a tool's message: the tool"
    failed: bool = False


class FunctionPart(Read):
    """`function` of a call in OpenAI's shape."""

    name: str
    arguments: JsonValue = ""


class ToolCall(Read):
    """A call as OpenAI, inspect_ai and tau2 write it."""

    id: str | None = None
    function: FunctionPart | str | None = None
    name: str | None = None
    arguments: JsonValue = ""

    def call(self) -> Call:
        """The call in one shape."""
        if isinstance(self.function, FunctionPart):
            return Call(self.id or "", self.function.name, arguments_text(self.function.arguments))
        return Call(self.id or "", self.function or self.name or "", arguments_text(self.arguments))


class ToolError(Read):
    """Why a call failed, in inspect_ai's shape."""

    type: str = "error"
    message: str = ""


class ChatMessage(Read):
    """A message as OpenAI, inspect_ai, tau-bench and tau2 write it."""

    role: str
    content: str | tuple[JsonValue, ...] | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str | None = None
    id: str | None = None
    name: str | None = None
    function: str | None = None
    error: ToolError | bool | None = None
    source: str | None = None
    requestor: str | None = None

    def said(self) -> Said:
        """The message in one shape."""
        if self.role != "tool":
            return Said(self.role, text_of(self.content), tuple(one.call() for one in self.tool_calls or ()))
        text = text_of(self.content)
        if isinstance(self.error, ToolError):
            text = text or f"{self.error.type}: {self.error.message}"
        answers = self.tool_call_id or self.id or ""
        return Said("tool", text, (), answers, self.function or self.name or "", bool(self.error))


def arguments_text(value: JsonValue) -> str:
    """A call's arguments as JSON text; text is taken to be that already."""
    return value if isinstance(value, str) else canonical_json(value)


def text_of(content: JsonValue | tuple[JsonValue, ...]) -> str:
    """The text of a message: itself, or its text parts; of another part only its kind is said."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list | tuple):
        return canonical_json(content)
    return "\n".join(text for part in content if (text := _part_text(part)))


def _part_text(part: JsonValue) -> str:
    if not isinstance(part, dict):
        return part if isinstance(part, str) else canonical_json(part)
    kind = part.get("type")
    if kind in ("reasoning", "thinking", "tool_call", "tool_use"):
        return ""
    for name in ("text", "content", "refusal"):
        if isinstance(text := part.get(name), str):
            return text
    return f"[{kind}]" if isinstance(kind, str) else ""


def trace_of(messages: Sequence[Said], *, prompt: str = "") -> tuple[TraceEvent, ...]:
    """The messages as events, in order; a turn begins with each message of the assistant.

    What is said before the first turn and is the prompt itself is left out. A call that nothing answered is an event
    without a text.
    """
    writer = _Writer()
    for said in messages:
        if said.role == "assistant":
            writer.turn_of(said)
        elif said.role == "tool":
            writer.result(said)
        elif said.text and not (writer.turn == 0 and said.text == prompt):
            writer.message(said.role, said.text)
    writer.unanswered()
    return tuple(writer.events)


def final_text(messages: Sequence[Said]) -> str:
    """What the assistant said last, empty where it said nothing."""
    return next((one.text for one in reversed(messages) if one.role == "assistant" and one.text), "")


def turns_of(trace: Sequence[TraceEvent]) -> int:
    """Tool calls, or where there are none the assistant's messages."""
    calls = sum(event.kind == "tool" for event in trace)
    return calls or sum(event.kind == "message" and event.name == "assistant" for event in trace)


class _Writer:
    """Events so far, and the calls that wait for their results."""

    def __init__(self) -> None:
        self.events: list[TraceEvent] = []
        self.turn = 0
        self._open: list[Call] = []

    def turn_of(self, said: Said) -> None:
        self.unanswered()
        self.turn += 1
        if said.text:
            self.message("assistant", said.text)
        self._open = [*said.calls]

    def message(self, role: str, text: str) -> None:
        self.events.append(TraceEvent(turn=self.turn, kind="message", name=role, text=text))

    def result(self, said: Said) -> None:
        call = self._call_of(said)
        self.events.append(
            TraceEvent(
                turn=self.turn,
                kind="tool",
                name=said.name or (call.name if call else ""),
                arguments=call.arguments if call else "",
                text=said.text,
                failed=said.failed,
            )
        )

    def unanswered(self) -> None:
        for call in self._open:
            event = TraceEvent(turn=self.turn, kind="tool", name=call.name, arguments=call.arguments)
            self.events.append(event)
        self._open = []

    def _call_of(self, said: Said) -> Call | None:
        """The call that a result belongs to: by id, else the first one of that tool."""
        for call in self._open:
            if call.id == said.answers if said.answers else call.name == said.name:
                self._open.remove(call)
                return call
        return None
