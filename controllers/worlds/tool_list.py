"""The compact tool list: every tool of a world in one line, short enough for any model's prompt."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from controllers.worlds import ToolSpec

DESCRIPTION_CHARS: Final = 150
"""A description keeps its first sentence, and further whole ones within this length."""


def tool_list(tools: Iterable[ToolSpec]) -> str:
    """One line a tool: `name(argument: type, optional?: type) - what it does`."""
    return "\n".join(_line(tool) for tool in tools)


def _line(tool: ToolSpec) -> str:
    schema = json.loads(tool.parameters_json)
    required, defined = schema.get("required", ()), schema.get("$defs", {})
    arguments = (
        f"{name}{'' if name in required else '?'}: {_type_of(about, defined)}"
        for name, about in schema.get("properties", {}).items()
    )
    return f"{tool.name}({', '.join(arguments)}) - {_brief(tool.description)}"


def _brief(description: str) -> str:
    first, *rest = description.split(". ")
    for sentence in rest:
        if len(first) + len(sentence) > DESCRIPTION_CHARS:
            break
        first = f"{first}. {sentence}"
    return first.rstrip(".") + "."


def _type_of(about: dict[str, Any], defined: dict[str, Any]) -> str:
    """A JSON schema in a word: `number`, an enumeration's choices, or an object's fields."""
    first = about.get("anyOf", [about])[0]
    target = defined.get(first.get("$ref", "").rpartition("/")[2], first)
    if "enum" in target:
        return "|".join(str(choice) for choice in target["enum"])
    if "properties" in target:
        return f"{{{', '.join(target['properties'])}}}"
    return str(target.get("type", "any"))
