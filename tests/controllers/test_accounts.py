"""Notes of an agent's output, and the readers that trust nothing about its shape."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.accounts import Notes, as_text, at, count, ending_of, parsed, price, text_at, total
from controllers.profiles import Ending
from signatures.records import Cost


def test_turns_count_tool_calls_and_events_come_in_their_order() -> None:
    notes = Notes()
    notes.message("a")
    notes.call("1", "ls", {"x": 1})
    notes.message(" ")
    notes.result("1", "out", failed=False)
    notes.message("b", name="thinking")
    notes.result("unknown", "late", failed=True)
    notes.started = True
    account = notes.account("answer", Cost(tokens_in=3), Ending("done"))
    assert [(e.turn, e.kind, e.name, e.arguments) for e in account.events] == [
        (0, "message", "assistant", ""),
        (0, "tool", "ls", '{"x":1}'),
        (1, "message", "thinking", ""),
        (1, "tool", "", ""),
    ]
    assert (notes.last, account.cost) == ("a", Cost(turns=2, tokens_in=3))


@given(st.lists(st.text(max_size=20) | st.dictionaries(st.text(max_size=3), st.integers()).map(json.dumps)))
def test_lines_give_the_objects_and_keep_all_else(lines: list[str]) -> None:
    notes = Notes()
    found = list(notes.lines("\n".join(lines)))
    wanted = [parsed(part) for line in lines for part in line.split("\n")]
    assert found == [one for one in wanted if isinstance(one, dict)]
    kept = "\n".join(event.text.removeprefix("not a JSON object:\n") for event in notes.events).split("\n")
    strange = [p for line in lines for p in line.split("\n") if p.strip() and not isinstance(parsed(p), dict)]
    assert kept == (strange or [""])


def test_a_flood_of_brackets_is_a_strange_line() -> None:
    notes = Notes()
    assert list(notes.lines("[" * 200_000)) == []
    assert notes.events[0].failed


def test_readers_give_none_for_another_shape() -> None:
    value = {"a": {"b": "x"}, "n": [1]}
    assert (at(value, "a", "b"), at(value, "a", "b", "c"), at(value, "n", "0"), at(None)) == ("x", None, None, None)
    assert (text_at(value, "n"), text_at(value, "z"), as_text([{"text": "x"}, {"y": 1}])) == ("1", "", 'x\n{"y":1}')
    assert [count(v) for v in (3, 0, -1, True, 2.0, "3", 10**30)] == [3, 0, None, None, None, None, None]
    assert [price(v) for v in (0.5, 2, 0, -1, True, float("inf"), float("nan"), "1")] == [0.5, 2.0, *[None] * 6]
    assert (total(1, None, 2), total(None)) == (3, None)


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("maximum context length is 8192", ("limit", False)),
        ("Incorrect API key provided", ("provider", False)),
        ("429 Too Many Requests", ("provider", True)),
        ("insufficient_quota", ("provider", False)),
        ("You exceeded your current quota", ("provider", False)),
        ("list index out of range", ("error", False)),
    ],
)
def test_words_are_classified(text: str, ending: tuple[str, bool]) -> None:
    found = ending_of(text)
    assert (found.kind, found.retryable, found.text) == (*ending, text)


def test_a_failure_that_is_known_to_be_the_providers_stays_so() -> None:
    assert ending_of("odd", provider=True) == Ending("provider", "odd", retryable=False)
