"""Comparing moves: Welch's statistic, stratified by place, and conditions as masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from controllers.policies.rule import Condition
from optimizers.evidence.comparing import Places, masks_of, welch_z, where_said
from optimizers.evidence.reflection import Reflection


def learned(gains: list[float], place: str) -> list[Reflection]:
    return [Reflection(policy="steer", features={}, action="fan", gain=g, turns=3, origin=place) for g in gains]


@given(
    a=st.lists(st.floats(-1, 1), min_size=2, max_size=20).map(np.array),
    b=st.lists(st.floats(-1, 1), min_size=2, max_size=20).map(np.array),
)
def test_strength_is_welchs_statistic(a: np.ndarray, b: np.ndarray) -> None:
    if min(a.std(), b.std()) < 1e-6:
        return
    assert welch_z(a, b) == pytest.approx(float(ttest_ind(a, b, equal_var=False).statistic), abs=1e-6)


def test_strength_where_nothing_varies_is_finite() -> None:
    ones, zeros = np.ones(9), np.zeros(9)
    assert (welch_z(ones, zeros), welch_z(zeros, ones), welch_z(ones, ones)) == (8.0, -8.0, 0.0)


GAINS = st.lists(st.floats(-1, 1, allow_nan=False), min_size=2, max_size=8)


@given(strata=st.lists(st.tuples(GAINS, GAINS), min_size=1, max_size=3))
def test_the_statistic_of_one_place_is_welchs_and_of_several_follows_where_they_agree(
    strata: list[tuple[list[float], list[float]]],
) -> None:
    rows: list[Reflection] = []
    gains: list[float] = []
    then: list[bool] = []
    for place, (a, b) in enumerate(strata):
        rows += learned([*a, *b], f"place {place}")
        gains += [*a, *b]
        then += [True] * len(a) + [False] * len(b)
    then_N = np.array(then, dtype=bool)
    z = Places(rows).z(np.array(gains), then_N, ~then_N)
    if len(strata) == 1:
        assert z == welch_z(np.array(strata[0][0]), np.array(strata[0][1]))
    differences = [np.mean(a) - np.mean(b) for a, b in strata]
    if all(one > 1e-9 for one in differences):
        assert z > 0
    if all(one < -1e-9 for one in differences):
        assert z < 0


def test_a_condition_on_what_was_not_observed_does_not_hold_and_one_that_tells_nothing_apart_is_left_out() -> None:
    rows = [
        Reflection(policy="steer", features=features, action="fan", gain=0, turns=1)
        for features in ({"a": 0.0, "b": 1.0}, {"a": 2.0, "b": 1.0}, {"b": 1.0})
    ]
    names = [("a", "<=", 1.0), ("a", ">", 1.0), ("b", ">", 0.5), ("c", ">", 0.5)]
    conditions = [Condition.model_validate({"feature": f, "op": op, "value": v}) for f, op, v in names]
    found = [(where_said(when), list(mask)) for when, mask in masks_of(rows, conditions)]
    assert found == [("", [True] * 3), ("a <= 1", [True, False, False]), ("a > 1", [False, True, False])]
    assert masks_of([], conditions) == []


def test_equal_gains_do_not_differ_however_they_are_summed() -> None:
    same = np.full(7, 0.1)
    assert welch_z(same, np.full(20, 0.1)) == 0.0
