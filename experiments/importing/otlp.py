"""Spans in the three ways in which OpenTelemetry writes them as JSON, in one shape.

OTLP: `{"resourceSpans": [...]}`, attributes as typed values; a span alone, in that style; and what the SDKs' console
exporters print, with `context` and plain attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from experiments.importing.reading import begins_with, document, lines, value_of
from signatures.errors import UsageError

Attributes = Mapping[str, JsonValue]


class Span(NamedTuple):
    """One span."""

    trace: str
    name: str
    start: str
    "sorts in order of time within a file"
    attributes: Attributes
    events: tuple[tuple[str, Attributes], ...]
    failed: bool
    message: str
    "of its status"
    service: str
    place: str


def spans(file: Path) -> Iterator[Span]:
    """The spans of a file: one JSON value, or one a line. Raises UsageError naming the place."""
    for place, value in _values(file):
        if isinstance(value, dict) and "resourceSpans" in value:
            yield from _exported(value, place)
        elif isinstance(value, list):
            for number, one in enumerate(value, 1):
                yield _span(one, f"{place}, span {number}", "")
        else:
            yield _span(value, place, "")


def _values(file: Path) -> Iterator[tuple[str, JsonValue]]:
    if begins_with(file) == "[" or not _line_by_line(file):
        yield str(file), document(file)
        return
    for number, line in lines(file):
        yield f"{file}, line {number}", value_of(line, file, line=number)


def _line_by_line(file: Path) -> bool:
    """Whether the first line is a JSON value, or there are more lines that begin as objects do."""
    starts = 0
    for _, line in lines(file):
        try:
            value_of(line, file)
        except UsageError:
            starts += line.startswith("{")
            if starts > 1 or not line.startswith("{"):
                return starts > 1
            continue
        return True
    return False


def _exported(value: Mapping[str, JsonValue], place: str) -> Iterator[Span]:
    for r, resource in enumerate(_objects(value, "resourceSpans", place)):
        at = f"{place}: resourceSpans[{r}]"
        service = _text(
            _attributes(_object(resource.get("resource", {}), at).get("attributes"), at).get("service.name")
        )
        for s, scope in enumerate(_objects(resource, "scopeSpans", at)):
            for n, one in enumerate(_objects(scope, "spans", f"{at}.scopeSpans[{s}]")):
                yield _span(one, f"{at}.scopeSpans[{s}].spans[{n}]", service)


def _span(value: JsonValue, place: str, service: str) -> Span:
    span = _object(value, place)
    context = _object(span.get("context", {}), place)
    trace = span.get("traceId") or context.get("trace_id") or span.get("trace_id")
    if not isinstance(trace, str) or not trace:
        raise UsageError(f"{place}: is no span: it has no trace id")
    status = _object(span.get("status") or {}, place)
    resource = _object(span.get("resource") or {}, place)
    start = span.get("startTimeUnixNano") or span.get("start_time") or span.get("start_time_unix_nano") or ""
    return Span(
        trace=trace,
        name=_text(span.get("name")),
        start=f"{start:>30}" if isinstance(start, str) else f"{_text(start):>30}",
        attributes=_attributes(span.get("attributes"), place),
        events=tuple(
            (_text(event.get("name")), _attributes(event.get("attributes"), place))
            for event in _objects(span, "events", place)
        ),
        failed=_text(status.get("code", status.get("status_code"))) in ("2", "STATUS_CODE_ERROR", "ERROR"),
        message=_text(status.get("message", status.get("description"))),
        service=service or _text(_attributes(resource.get("attributes"), place).get("service.name")),
        place=place,
    )


def _attributes(value: JsonValue, place: str) -> Attributes:
    """Attributes as plain values, from OTLP's list of typed ones too."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    if not isinstance(value, list):
        raise UsageError(f"{place}: attributes: wanted an object or a list")
    found = {}
    for one in value:
        pair = _object(one, place)
        found[_text(pair.get("key"))] = _plain(pair.get("value"), place)
    return found


def _plain(value: JsonValue, place: str) -> JsonValue:
    typed = _object(value, place) if value is not None else {}
    for kind, held in typed.items():
        match kind:
            case "intValue" if isinstance(held, str):
                try:
                    return int(held)
                except ValueError as error:
                    raise UsageError(f"{place}: attributes: {error}") from error
            case "arrayValue":
                return [_plain(one, place) for one in _listed(_object(held, place).get("values", []), place)]
            case "kvlistValue":
                return dict(_attributes(_object(held, place).get("values", []), place))
            case _:
                return held
    return None


def _objects(value: Mapping[str, JsonValue], name: str, place: str) -> list[dict[str, JsonValue]]:
    return [_object(one, f"{place}.{name}") for one in _listed(value.get(name) or [], f"{place}.{name}")]


def _listed(value: JsonValue, place: str) -> list[JsonValue]:
    if not isinstance(value, list):
        raise UsageError(f"{place}: wanted a list")
    return value


def _object(value: JsonValue, place: str) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        raise UsageError(f"{place}: wanted an object")
    return value


def _text(value: JsonValue) -> str:
    return "" if value is None else str(value)
