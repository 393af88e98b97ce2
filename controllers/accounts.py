"""An agent's account of its attempt, noted while its output is read: events, turns, calls without a result."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from controllers.profiles import Account, Ending
from controllers.replies import encodable
from signatures.digest import canonical_json
from signatures.records import Cost, TraceEvent

Found = object
"a JSON value of any kind: an agent's output is not trusted to have the shape that it had"

_MOST: Final = 2**62
_TRANSIENT: Final = re.compile(
    r"(?i)\b(?:408|409|429|5\d\d)\b|rate.?limit|overloaded|too many requests|timed? ?out|disconnected|unavailable"
    r"|connection|internal server error|high demand|try again|resource.?exhausted"
)
_LASTING: Final = re.compile(
    r"(?i)\b(?:401|402|403)\b|unauthorized|authenticat|api.?key|forbidden|billing|quota|usage limit|credit"
    r"|not logged in|log ?in\b|model.{0,40}(?:not found|does not exist|not supported)"
)
_CONTEXT: Final = re.compile(r"(?i)context.{0,20}(?:window|length|overflow)|prompt is too long|maximum context")


class Notes:
    """Collects events in order; `turns` counts tool calls. Calls are noted when their result is there."""

    def __init__(self) -> None:
        self.events: list[TraceEvent] = []
        self.turns = 0
        self.started = False
        self.last = ""
        "the last text that the agent said"
        self._open: dict[str, tuple[str, str]] = {}

    def message(self, text: str, name: str = "assistant") -> None:
        """Something said; nothing where it is blank."""
        if text.strip():
            self._add("message", name, text=text)
            if name == "assistant":
                self.last = encodable(text)

    def call(self, id: str, name: str, arguments: Found) -> None:
        """A tool call whose result is still to come."""
        self._open[id] = (name, as_json(arguments))

    def result(self, id: str, text: str, *, failed: bool) -> None:
        """The result of the call `id`, or of one that was not seen."""
        name, arguments = self._open.pop(id, ("", ""))
        self.tool(name, arguments, text, failed=failed)

    def tool(self, name: str, arguments: Found, text: str, *, failed: bool) -> None:
        """A tool call with its result: one turn."""
        self._add("tool", name, arguments=as_json(arguments), text=text, failed=failed)
        self.turns += 1

    def error(self, name: str, text: str) -> None:
        """Something that went wrong."""
        self._add("error", name, text=text, failed=True)

    def aside(self, name: str, text: str, *, failed: bool) -> None:
        """Something about the output rather than in it."""
        self._add("process", name, text=text, failed=failed)

    def lines(self, text: str) -> Iterator[Mapping[str, Found]]:
        """The JSON objects of `text`, one a line; what is none goes on the trace, neighbours as one event."""
        strange: list[str] = []
        for line in text.split("\n"):
            if not line.strip():
                continue
            event = parsed(line)
            if not isinstance(event, dict):
                strange.append(line)
                continue
            self._flush(strange)
            self.started = True
            yield event
        self._flush(strange)

    def account(self, answer: str, cost: Cost, ending: Ending) -> Account:
        """The whole; calls without a result are noted as failed, an ending that is not `done` as an error."""
        for id in tuple(self._open):
            self.result(id, "", failed=True)
        if ending.kind != "done":
            self.error(ending.kind, ending.text)
        cost = cost.plus(Cost(turns=self.turns)) if self.started else cost
        return Account(encodable(answer), tuple(self.events), cost, ending, self.started)

    def _flush(self, strange: list[str]) -> None:
        if strange:
            self.aside("output", "not a JSON object:\n" + "\n".join(strange), failed=True)
            strange.clear()

    def _add(
        self,
        kind: Literal["message", "tool", "error", "process"],
        name: str,
        *,
        arguments: str = "",
        text: str = "",
        failed: bool = False,
    ) -> None:
        self.events.append(
            TraceEvent(
                turn=self.turns,
                kind=kind,
                name=encodable(name),
                arguments=encodable(arguments),
                text=encodable(text),
                failed=failed,
            )
        )


def parsed(text: str | bytes) -> Found:
    """The JSON value of `text`; None where it is none."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def at(value: Found, *path: str) -> Found:
    """What stands at `path` of nested objects; None where the path ends early."""
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def text_at(value: Found, *path: str) -> str:
    """The text at `path`; empty where there is none, JSON where it is something else."""
    return as_text(at(value, *path))


def as_text(value: Found) -> str:
    """Text as it is, the texts of a list of parts one below the other, other things as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        texts = [at(part, "text") for part in value]
        return "\n".join(t if isinstance(t, str) else as_json(part) for t, part in zip(texts, value, strict=True))
    return as_json(value)


def as_json(value: Found) -> str:
    """`value` as JSON text; text is taken to be JSON already."""
    if isinstance(value, str):
        return value
    try:
        return canonical_json(value)
    except (ValueError, RecursionError):  # infinite numbers, and nesting that json could still read
        return "[cannot be written as JSON]"


def items(value: Found) -> tuple[Found, ...]:
    """The items of a list; none where it is no list."""
    return tuple(value) if isinstance(value, list) else ()


def count(value: Found) -> int | None:
    """A whole number from 0 up, None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else None


def total(*values: int | None) -> int | None:
    """The sum of those that are known, None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def price(value: Found) -> float | None:
    """An amount of money above 0; None for 0, by which agents say that they know no price."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _MOST:
        return None
    return float(value) if math.isfinite(value) else None


def ending_of(text: str, *, provider: bool = False) -> Ending:
    """What kind of ending an error's words mean, where words are all that an agent gives.

    `provider`: it is known to be the provider's, and the words only say whether to try again.
    """
    if _CONTEXT.search(text):
        return Ending("limit", text)
    if _LASTING.search(text):
        return Ending("provider", text)
    if provider or _TRANSIENT.search(text):
        return Ending("provider", text, retryable=bool(_TRANSIENT.search(text)))
    return Ending("error", text)
