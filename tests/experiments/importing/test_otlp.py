"""Attributes of OTLP as plain values."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.importing.otlp import spans
from signatures.errors import UsageError


def span(value: object) -> dict[str, object]:
    attributes = [{"key": "a", "value": value}]
    return {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "t", "attributes": attributes}]}]}]}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"stringValue": "x"}, "x"),
        ({"intValue": "9007199254740993"}, 9007199254740993),
        ({"intValue": 3}, 3),
        ({"doubleValue": 0.5}, 0.5),
        ({"boolValue": False}, False),
        ({"arrayValue": {"values": [{"stringValue": "x"}, {"intValue": "1"}]}}, ["x", 1]),
        ({"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}, {"k": "v"}),
        ({}, None),
        (None, None),
    ],
)
def test_a_typed_value(written, value, plain) -> None:
    (found,) = spans(written(span(value)))
    assert found.attributes == {"a": plain}


def test_a_bad_value_names_its_span(written) -> None:
    with pytest.raises(UsageError, match=r"spans\[0\]: attributes: invalid literal"):
        list(spans(written(span({"intValue": "x"}))))


def test_a_pretty_printed_document_is_one_value(written) -> None:
    text = '{\n"resourceSpans": [\n{"scopeSpans": [{"spans": [{"traceId": "t"}]}]}\n]\n}'
    assert [one.trace for one in spans(written(text))] == ["t"]


def test_a_list_of_spans(written, tmp_path: Path) -> None:
    file = written([{"traceId": "t"}, {"traceId": "u"}])
    assert [(one.trace, one.place) for one in spans(file)] == [("t", f"{file}, span 1"), ("u", f"{file}, span 2")]
