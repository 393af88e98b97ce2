from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.history import Seen
from controllers.worlds.refactory_edits import KINDS
from controllers.worlds.refactory_questions import DIRECTIVES
from controllers.worlds.refactory_record import (
    RUN,
    Failing,
    clue,
    directive_text,
    failing,
    features,
    kinds_in,
    tried,
    untried,
)
from signatures.errors import UsageError
from signatures.records import Attempt, CheckerResult, Steer, TraceEvent, WorkerFingerprint

DETAIL = "6 of 8 tests passed\nsearch(7, []): expected 0, raised IndexError: list index out of range\n"
DETAIL += "search(3, [1, 5]): expected 1, got 2"


def run(*changes: str) -> TraceEvent:
    return TraceEvent(turn=0, kind="tool", name=RUN, arguments=json.dumps({"changes": list(changes)}))


def seen(id: str, *events: TraceEvent, detail: str = "", parent: str | None = None, action: str = "none") -> Seen:
    attempt = Attempt(
        id=id,
        episode_id="e",
        round=0,
        index=0,
        parent_id=parent,
        task_digest="t",
        benchmark="refactory",
        worker=WorkerFingerprint(name="refactory"),
        steer=Steer(action=action),
        checks=(CheckerResult(objective="correct", value=0.5, unit="share of tests", detail=detail),),
        outcome="ok",
    )
    return Seen(attempt, events)


def test_failing_tests_are_read_from_the_checkers_detail() -> None:
    assert failing(DETAIL) == [
        Failing("search(7, [])", "0", "raised", "IndexError: list index out of range"),
        Failing("search(3, [1, 5])", "1", "got", "2"),
    ]
    assert failing("f(1): expected 2, not run") == [Failing("f(1)", "2", "not run", "")]
    assert failing("8 of 8 tests passed") == []


def test_what_was_tried_is_read_from_test_runs_and_steers() -> None:
    first, second = seen("a", run(), run("ranges", "order")), seen("b", run("empty"), parent="a", action="loops")
    assert tried(first.trace) == {"ranges", "order"}
    left = untried([first, second])
    assert {kind for kind, open_ in left.items() if not open_} == {"ranges", "order", "empty", "loops"}
    assert untried([second, first])["empty"], "of another lineage"
    assert all(untried([]).values()) and set(untried([])) == {d.action for d in DIRECTIVES}


def test_a_directive_names_what_is_untried_and_a_failing_test() -> None:
    history = [seen("a", run("ranges", "conditions", "returns", "empty"), detail=DETAIL)]
    text = directive_text("untried", history)
    assert text.startswith(
        "Try a kind of change that was not tried yet: order, loops, rewrite. For example, search(7, [])"
    )
    assert kinds_in(text) == {"order", "loops", "rewrite"}, "the example is no wish"
    assert directive_text("order", []) == "Check the order of the result: sorting, reversing, first and last."
    with pytest.raises(UsageError, match="no directive 'sideways'"):
        directive_text("sideways", [])


@pytest.mark.parametrize("kind", KINDS)
def test_each_directive_is_understood(kind: str) -> None:
    assert kind in kinds_in(directive_text(kind, []))


def test_warnings_are_no_wishes() -> None:
    assert kinds_in("Do not touch the loops. Check the conditions; sorting was already tried.") == {"conditions"}
    assert kinds_in("") == frozenset()


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("search(7, []): expected 0, got None", ("empty",)),
        ("f(1): expected [1], raised TooManyLines: it did not end", ("loops",)),
        ("f(1): expected 1, got None\nf(2): expected 2, got 3", ("returns",)),
        ("f(1): expected 1, got 2", ("ranges", "conditions")),
        ("f(1): expected [1, 2], got [2, 1]", ("order",)),
        ("f(1): expected [1, 2], got (1, 2)", ("returns", "order")),
        ("f(1): expected 1, raised NameError: name 'a' is not defined", ("rewrite", "empty")),
        ("f(1): expected 1, got 9", ()),
        ("", ()),
    ],
)
def test_a_failing_test_makes_one_think_of_a_kind_of_change(detail: str, expected: tuple[str, ...]) -> None:
    assert clue(failing(detail)) == expected


def test_features_tell_how_the_tests_fail() -> None:
    found = features([seen("a", run(), run("ranges"), detail=DETAIL)])
    expected = {"failing": 2, "raised": 0.5, "index": 1, "near": 1, "none": 0, "runs": 2, "tried.ranges": 1}
    assert {name: found[f"refactory.{name}"] for name in expected} == expected
    assert set(features([])) == {f"refactory.tried.{kind}" for kind in KINDS}


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_is_an_error(detail: str, arguments: str) -> None:
    event = TraceEvent(turn=0, kind="tool", name=RUN, arguments=arguments)
    history = [seen("a", event, detail=f"f(1): expected {detail}, got {detail}")]
    assert features(history) and untried(history) and directive_text("untried", history)
