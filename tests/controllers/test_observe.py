from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.history import Seen
from controllers.observe import NoObserver, correctness, lineage, observe
from signatures.records import Amounts
from tests.controllers.parts import check, seen, tool

GRANTED = Amounts(attempts=3, turns=12)
LEFT = Amounts(attempts=2, turns=9)


class Eyes:
    """An observer with features of its own, one of which is not always a number."""

    def __init__(self, value: float = 2.0) -> None:
        self.value = value

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        return {"own.value": self.value}

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        return {"up": True, "look": True, "down": False}

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        return action


def observed(*history: Seen) -> dict[str, float]:
    return observe(history, NoObserver(), granted=GRANTED, left=LEFT)


def test_before_the_first_attempt_only_what_needs_none() -> None:
    assert observed() == {"attempts": 0, "attempts_left": 2, "turns_left": 0.75, "untried": 0}


def test_a_resource_without_a_limit_has_no_feature() -> None:
    assert observe([], NoObserver(), granted=Amounts(), left=Amounts()) == {"attempts": 0, "untried": 0}


def test_kinds_of_error_are_names_of_tools_that_failed() -> None:
    found = observed(seen(0, trace=(tool("ping", failed=True), tool("ping", failed=True), tool("reset"))))
    assert (found["errors"], found["error_kinds"]) == (2, 1)


@pytest.mark.parametrize(
    ("granted", "left", "share"), [(2.0, 0.5, 0.25), (2.0, 0.0, 0.0), (None, None, None), (0.0, 0.0, None)]
)
def test_money_left_is_a_share_of_what_was_granted(
    granted: float | None, left: float | None, share: float | None
) -> None:
    found = observe([], NoObserver(), granted=Amounts(usd=granted), left=Amounts(usd=left))
    assert found.get("usd_left") == share


def test_a_benchmark_adds_its_own() -> None:
    found = observe([], Eyes(), granted=GRANTED, left=LEFT)
    assert found["own.value"] == 2.0
    assert (found["untried"], found["untried.up"], found["untried.down"]) == (2, 1, 0)


def test_the_last_attempt_is_described() -> None:
    trace = (
        tool("ping", arguments='{"a":1}'),
        tool("ping", arguments='{"a":1}'),
        tool("ping", arguments='{"a":2}', failed=True),
        tool("reset", failed=True),
    )
    checks = (check("correct", 0.5, passed=False), check("fast", 3.0, passed=True), check("clean", None, passed=False))
    last = seen(1, parent=0, checks=checks, trace=trace, action="look", states=("s0", "s1"))
    found = observed(seen(0, correct=0.25), last)
    expected = {
        "attempts": 2,
        "depth": 2,
        "correct": 0.5,
        "passed": 0,
        "best_passed": 0,
        "failing": 2,
        "progress": 0.25,
        "stalled": 0,
        "errors": 2,
        "error_kinds": 2,
        "repeats": 1,
        "changed": 1,
        "odd_outcome": 0,
        "last.look": 1,
    }
    assert expected.items() <= found.items()


@pytest.mark.parametrize(
    ("values", "progress", "stalled"),
    [
        ([0.5], 0.0, 0),
        ([0.5, 0.5], 0.0, 1),
        ([0.2, 0.5, 0.5, 0.4], -0.1, 2),
        ([0.2, 0.5, 0.6], 0.1, 0),
        ([0.6, 0.5, 0.4], -0.1, 2),
    ],
)
def test_progress_is_that_of_the_lineage(values: list[float], progress: float, stalled: int) -> None:
    chain = [seen(n, parent=n - 1 if n else None, correct=value) for n, value in enumerate(values)]
    found = observed(seen(99, correct=0.9), *chain)
    assert found["progress"] == pytest.approx(progress)
    assert (found["stalled"], found["depth"]) == (stalled, len(values))


def test_what_the_checker_could_not_say_is_no_zero() -> None:
    silent = observed(seen(0, checks=(check("correct", None),)))
    assert not {"correct", "passed", "progress", "stalled"} & silent.keys()
    unchecked = observed(seen(0))
    assert not {"correct", "passed", "progress", "stalled"} & unchecked.keys()
    between = observed(
        seen(0, correct=0.2), seen(1, parent=0, checks=(check("correct", None),)), seen(2, parent=1, correct=0.5)
    )
    assert between["progress"] == pytest.approx(0.3)


def test_the_best_so_far_is_remembered() -> None:
    found = observed(seen(0, correct=1.0), seen(1, correct=0.1))
    assert (found["best_passed"], found["passed"]) == (1, 0)


def test_a_state_that_was_not_kept_did_not_change() -> None:
    assert observed(seen(0))["changed"] == 0
    assert observed(seen(0, states=("s", "s")))["changed"] == 0


def test_a_lineage_goes_from_the_root_to_the_attempt() -> None:
    history = [seen(0), seen(1), seen(2, parent=0), seen(3, parent=2), seen(4, parent=1)]
    assert [one.attempt.index for one in lineage(history, "a3")] == [0, 2, 3]
    assert [one.attempt.index for one in lineage(history, "a1")] == [1]
    assert lineage(history, "nobody") == []


def test_a_parent_outside_the_history_ends_the_lineage() -> None:
    history = [seen(5, parent=4), seen(6, parent=5)]
    assert [one.attempt.index for one in lineage(history, "a6")] == [5, 6]


@pytest.mark.parametrize(("value", "expected"), [(0.4, 0.4), (None, 0.0)])
def test_correctness_is_the_checkers_value(value: float | None, expected: float) -> None:
    assert correctness(seen(0, checks=(check("correct", value),)).attempt) == expected
    assert correctness(seen(0).attempt) == 0.0


@given(
    st.lists(st.tuples(st.none() | st.floats(-5, 5), st.booleans()), max_size=4),
    st.floats(allow_nan=True, allow_infinity=True),
    st.none() | st.integers(0, 20),
)
def test_no_feature_is_ever_nan_or_infinite(
    made: list[tuple[float | None, bool]], own: float, turns: int | None
) -> None:
    history = [
        seen(n, parent=n - 1 if n and linked else None, checks=(check("correct", value),))
        for n, (value, linked) in enumerate(made)
    ]
    left = Amounts(attempts=1, turns=turns)
    found = observe(history, Eyes(own), granted=Amounts(attempts=3, turns=turns), left=left)
    assert all(math.isfinite(value) for value in found.values())
    assert ("own.value" in found) == math.isfinite(own)


def test_without_an_observer_nothing_is_added() -> None:
    eyes = NoObserver()
    assert (eyes.features([]), eyes.untried([]), eyes.directive_text("look", [])) == ({}, {}, "look")
