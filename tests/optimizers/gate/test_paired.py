from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.gate.paired import pairs_of
from signatures.errors import UsageError

VALUES = st.dictionaries(
    st.sampled_from("abcdef"), st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=3), max_size=6
)


def test_a_task_counts_once_however_many_repeats_it_has() -> None:
    pairs = pairs_of("correct", {"a": [0.0, 0.5], "b": [0.2]}, {"a": [1.0, 0.5], "b": [0.4]})
    assert pairs.tasks == ("a", "b")
    assert pairs.repeats_T == (2, 1)
    assert pairs.difference_T == pytest.approx([0.5, 0.2])
    assert pairs.missing == 0


def test_a_repeat_that_lacks_a_side_is_left_out_with_its_partner_and_counted() -> None:
    pairs = pairs_of("correct", {"a": [0.0, None, 1.0]}, {"a": [1.0, 1.0, 0.0]})
    assert pairs.difference_T == pytest.approx([0.0])
    assert (pairs.repeats_T, pairs.missing) == ((2,), 1)


def test_a_missing_task_is_counted_and_never_a_zero() -> None:
    pairs = pairs_of("correct", {"a": [1.0], "b": [None], "c": [1.0]}, {"a": [1.0], "b": [1.0], "d": [0.0, 0.0]})
    assert pairs.tasks == ("a",)
    assert pairs.missing == 1 + 1 + 2
    assert pairs.difference_T.tolist() == [0.0]


def test_unequal_numbers_of_repeats_are_compared_by_their_means() -> None:
    pairs = pairs_of("correct", {"a": [0.0, 0.5, 1.0]}, {"a": [1.0, None]})
    assert pairs.difference_T == pytest.approx([0.5])
    assert (pairs.repeats_T, pairs.missing) == ((1,), 1)


@pytest.mark.parametrize(
    ("baseline", "candidate", "is_pass_fail"),
    [
        ({"a": [0.0], "b": [1]}, {"a": [1.0], "b": [True]}, True),
        ({"a": [0.0, 1.0]}, {"a": [1.0, 1.0]}, False),
        ({"a": [0.0]}, {"a": [0.5]}, False),
        ({}, {}, False),
    ],
)
def test_pass_fail_is_one_repeat_of_zero_or_one(
    baseline: dict[str, list[float | None]], candidate: dict[str, list[float | None]], is_pass_fail: bool
) -> None:
    assert pairs_of("correct", baseline, candidate).pass_fail is is_pass_fail


def test_zero_and_one_on_a_wider_range_are_not_pass_fail() -> None:
    pairs = pairs_of("turns", {"a": [0.0]}, {"a": [1.0]}, hi=10.0)
    assert not pairs.pass_fail
    assert pairs.bound == 10.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1.5])
def test_a_value_outside_the_range_is_refused_by_task_and_value(value: float) -> None:
    with pytest.raises(UsageError, match=rf"task b: candidate correct is {value}, outside the range 0.0 to 1.0"):
        pairs_of("correct", {"a": [0.0], "b": [0.0]}, {"a": [0.0], "b": [value]})


@pytest.mark.parametrize(("lo", "hi"), [(1.0, 0.0), (0.0, 0.0), (0.0, math.inf), (math.nan, 1.0)])
def test_a_range_that_is_none_is_refused(lo: float, hi: float) -> None:
    with pytest.raises(UsageError, match="range"):
        pairs_of("correct", {}, {}, lo=lo, hi=hi)


@given(VALUES, VALUES)
def test_exchanging_the_sides_turns_the_differences_round(
    first: dict[str, list[float | None]], second: dict[str, list[float | None]]
) -> None:
    there, back = pairs_of("correct", first, second), pairs_of("correct", second, first)
    turned = dict(zip(back.tasks, (-back.difference_T).tolist(), strict=True))
    assert dict(zip(there.tasks, there.difference_T.tolist(), strict=True)) == turned
    assert there.missing == back.missing
    assert np.all(np.abs(there.difference_T) <= there.bound)


@given(VALUES)
def test_a_candidate_equal_to_its_baseline_differs_nowhere(values: dict[str, list[float | None]]) -> None:
    pairs = pairs_of("correct", values, values)
    assert not pairs.difference_T.any()
    assert pairs.missing == sum(value is None for repeats in values.values() for value in repeats)
