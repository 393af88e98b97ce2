"""Bins of a feature: every value has one, and values never seen before have their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.drift.binned import MOST_VALUES, QUANTILES, binned_of, codes_of, counts_of
from signatures.errors import UsageError
from signatures.release import Binned

NUMBERS = st.floats(-1e6, 1e6) | st.none() | st.integers(0, 3).map(float)


def test_few_values_have_a_bin_each_and_one_on_either_side() -> None:
    found = binned_of([0.0, 1.0, 1.0, None])
    assert (found.counts, found.absent) == ((0, 1, 2, 0), 1)
    assert codes_of(found.edges, [-0.5, 0.0, 0.5, 1.0, 1.5, None]).tolist() == [0, 1, 2, 2, 3, 4]


def test_what_was_constant_shows_any_other_value() -> None:
    found = binned_of([2.0] * 9)
    assert found.counts == (0, 9, 0)
    assert codes_of(found.edges, [1.999, 2.0, 2.001]).tolist() == [0, 1, 2]


def test_many_values_are_cut_into_fifths_with_a_bin_above_all() -> None:
    found = binned_of([float(n) for n in range(100)])
    assert found.counts == (20, 20, 20, 20, 20, 0)
    assert codes_of(found.edges, [-7.0, 99.0, 99.5]).tolist() == [0, QUANTILES - 1, QUANTILES]


def test_a_feature_that_nobody_observed_is_all_absent() -> None:
    assert binned_of([None, None]) == Binned(edges=(), counts=(0,), absent=2)
    assert codes_of((), [1.0, None]).tolist() == [0, 1]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(UsageError, match="not finite"):
        binned_of([1.0, bad])


@given(st.lists(NUMBERS, max_size=60))
def test_every_value_is_counted_once_and_the_record_holds(values: list[float | None]) -> None:
    found = binned_of(values)
    assert counts_of(found).sum() == len(values)
    assert found.absent == values.count(None)
    assert len(found.edges) <= MOST_VALUES + 1
    assert Binned.model_validate_json(found.model_dump_json()) == found
