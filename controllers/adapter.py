"""How a policy's question is written for a model: dspy's chat format, word for word, at less cost a call."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

import dspy
from dspy.adapters.utils import format_field_value

if TYPE_CHECKING:
    from dspy.adapters.chat_adapter import FieldInfoWithName
    from pydantic.fields import FieldInfo

_UNPLANNED: Final = dspy.Adapter.acall.__wrapped__
"""`Adapter.acall` without its look-up of what the model's provider can do: over 1 ms a call through LiteLLM, and needed
for no field of text or numbers."""
_HEADER: Final = re.compile(r"\[\[ ## (\w+) ## \]\]")
_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]{0,9})(?:\.[0-9]{1,15})?")


class QuickChat(dspy.ChatAdapter):
    """`dspy.ChatAdapter` without its second question, as JSON, after an answer that does not parse.

    The same messages and the same parsing, whatever the signature, the demos and the inputs. What a call does not pay
    for again: the system message and the reminder of the format, which the signature alone decides, and a serializer
    for each value that is plain JSON already.
    """

    def __init__(self) -> None:
        super().__init__(use_json_adapter_fallback=False)

    async def acall(
        self,
        lm: dspy.LM,
        lm_kwargs: dict[str, object],
        signature: type[dspy.Signature],
        demos: list[dspy.Example | dict[str, object]],
        inputs: dict[str, object],
    ) -> list[dict[str, object]]:
        """Write, ask, parse. Raises AdapterParseError, and what the model raises."""
        answers: list[dict[str, object]] = await _UNPLANNED(self, lm, lm_kwargs, signature, demos, inputs)
        return answers

    def format_system_message(self, signature: type[dspy.Signature]) -> str:
        """As ChatAdapter's."""
        return _system(cast(Hashable, signature), _state(signature))

    def user_message_output_requirements(self, signature: type[dspy.Signature]) -> str:
        """As ChatAdapter's."""
        return _reminder(cast(Hashable, signature))

    def format_user_message_content(
        self,
        signature: type[dspy.Signature],
        inputs: Mapping[str, object],
        prefix: str = "",
        suffix: str = "",
        main_request: bool = False,
    ) -> str:
        """As ChatAdapter's."""
        written = [prefix]
        for name, field in signature.input_fields.items():
            if name in inputs:
                written.append(f"[[ ## {name} ## ]]\n{_value(field, inputs[name])}")
        if main_request:
            written.append(self.user_message_output_requirements(signature))
        return "\n\n".join([*written, suffix]).strip()

    def format_field_with_value(self, fields_with_values: Mapping[FieldInfoWithName, object]) -> str:
        """As ChatAdapter's."""
        found = fields_with_values.items()
        return "\n\n".join(f"[[ ## {one.name} ## ]]\n{_value(one.info, value)}" for one, value in found).strip()

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, object]:
        """As ChatAdapter's, which is asked where the answer is not of texts and plain numbers. Raises as it does."""
        found = _sections(completion)
        values: dict[str, object] = {
            name: _parsed(field, found.get(name)) for name, field in signature.output_fields.items()
        }
        if None in values.values():
            values = super().parse(signature, completion)
        return values


@lru_cache(maxsize=1)
def quick_chat() -> QuickChat:
    """The one adapter: it holds nothing of a call."""
    return QuickChat()


@lru_cache(maxsize=256)
def _system(signature: Hashable, state: str) -> str:
    """The system message of a signature as it is now, which `state` tells apart."""
    return str(dspy.ChatAdapter().format_system_message(signature))


@lru_cache(maxsize=256)
def _reminder(signature: Hashable) -> str:
    """The end of a question: the names and the types of the fields to answer with."""
    return str(dspy.ChatAdapter().user_message_output_requirements(signature))


def _state(signature: type[dspy.Signature]) -> str:
    """What can be edited in a signature in place: its instructions and what is said of its fields."""
    return f"{signature.__doc__}\n{[field.json_schema_extra for field in signature.model_fields.values()]}"


def _sections(completion: str) -> dict[str, str]:
    """The text below each header, of the first where there are several; after Adapter.parse of dspy."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in completion.splitlines():
        header = _HEADER.match(line.strip())
        if header is None:
            lines.append(line)
            continue
        rest = line[header.end() :].strip()
        lines = [rest] if rest else []
        found.setdefault(header[1], lines)
    return {name: "\n".join(lines).strip() for name, lines in found.items()}


def _parsed(field: FieldInfo, text: str | None) -> str | float | None:
    """The value of a field of text, or of a plain number; None where dspy has to say what it is."""
    if text is None or field.annotation is str:
        return text
    return float(text) if field.annotation is float and _NUMBER.fullmatch(text) else None


def _value(field: FieldInfo, value: object) -> str:
    """A field's value as dspy writes it."""
    if not _plain(value) or (isinstance(value, list) and field.annotation is str):
        return str(format_field_value(field_info=field, value=value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def _plain(value: object) -> bool:
    """Whether the value is its own JSON: nothing that dspy's serializer would write in another way."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return True
    if kind is float:
        return math.isfinite(cast(float, value))
    if kind is list:
        return all(map(_plain, cast(list[object], value)))
    if kind is not dict:
        return False
    inner = cast(dict[object, object], value)
    return all(type(key) is str and key.isascii() for key in inner) and all(map(_plain, inner.values()))
