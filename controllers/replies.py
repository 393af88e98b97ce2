"""What a chat model's reply asks for, in a protocol that any model can follow: one JSON object a turn."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from controllers.worlds import ToolSpec
from controllers.worlds.tool_list import tool_list
from signatures.digest import canonical_json

INSTRUCTIONS: Final = """\
You work with tools. Each of your replies is exactly one JSON object and nothing else:
{"tool": "<name>", "arguments": {...}} calls a tool, and its result is the next message;
{"answer": "<text>"} ends the work.
The tools:
"""

DEFINED: Final = '"#/$defs/'
"""How a JSON schema's text refers to one of its definitions."""
_OBJECT_START: Final = re.compile(r"\{")


class ToolCall(NamedTuple):
    """The model wants a tool run."""

    name: str
    arguments: dict[str, object]
    id: str = ""
    "given by the provider where tools are called natively"


class Answer(NamedTuple):
    """The model is done."""

    text: str


class Unreadable(NamedTuple):
    """The reply is neither; `why` is told to the model."""

    why: str


def instructions(tools: Iterable[ToolSpec]) -> str:
    """The protocol and the compact list of tools."""
    return INSTRUCTIONS + tool_list(tools)


def reply_schema(tools: Iterable[ToolSpec]) -> dict[str, object]:
    """The JSON schema of a readable reply: a call of one of these tools with arguments that it takes, or an answer."""
    shared: dict[str, object] = {}
    replies = [_exactly({"answer": {"type": "string"}})]
    for tool in tools:
        # references are read from the root of the whole schema, where two tools may define one name differently
        arguments = json.loads(tool.parameters_json.replace(DEFINED, f"{DEFINED}{tool.name}-"))
        shared |= {f"{tool.name}-{name}": about for name, about in arguments.pop("$defs", {}).items()}
        replies.append(_exactly({"tool": {"const": tool.name}, "arguments": arguments}))
    return {"anyOf": replies, "$defs": shared} if shared else {"anyOf": replies}


def _exactly(properties: Mapping[str, object]) -> dict[str, object]:
    names = list(properties)
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


def read_reply(text: str) -> ToolCall | Answer | Unreadable:
    """The first JSON object in `text` with `tool` or `answer`; prose and fences around it do no harm."""
    found = None
    for found in _objects(text):
        name, arguments, answer = found.get("tool"), found.get("arguments", {}), found.get("answer")
        if isinstance(name, str) and isinstance(arguments, dict):
            return tool_call(name, arguments)
        if answer is not None:
            return Answer(encodable(answer if isinstance(answer, str) else json.dumps(answer)))
    if found is None:
        return Unreadable("it holds no JSON object")
    return Unreadable('the JSON object has neither "answer" nor "tool" (text) with "arguments" (an object)')


def tool_call(name: str, arguments: Mapping[str, object], id: str = "") -> ToolCall:
    """A call as the model wrote it, with text that can be stored and sent."""
    return ToolCall(encodable(name), json.loads(encodable(canonical_json(dict(arguments)))), id)


def tool_result(name: str, text: str, failed: bool) -> str:
    """The message that tells the model what a tool brought."""
    return json.dumps({"tool": name, "failed": failed, "result": text}, ensure_ascii=False)


def encodable(text: str) -> str:
    """`text` with lone surrogates, which a model can write as JSON escapes, replaced by question marks."""
    return text.encode("utf-8", "replace").decode()


def _objects(text: str) -> Iterator[dict[str, object]]:
    decoder = json.JSONDecoder(parse_constant=_refused)
    position = 0
    while start := _OBJECT_START.search(text, position):
        try:
            found, position = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            position = start.end()
            continue
        yield found


def _refused(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")
