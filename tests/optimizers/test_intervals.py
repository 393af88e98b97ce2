from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.intervals import Interval, TaskValues, mean_interval, paired_interval
from signatures.errors import UsageError

VALUES = st.one_of(st.none(), st.floats(0, 1), st.sampled_from([0.0, 1.0]))
TASKS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.lists(VALUES, max_size=3), max_size=12)


def singles(*values: float | None) -> TaskValues:
    return {f"t{i:04}": [value] for i, value in enumerate(values)}


def test_pass_or_fail_gets_the_wilson_interval() -> None:
    # 15 of 40: Wilson's interval by its formula, z = 1.959964
    found = mean_interval(singles(*[1.0] * 15, *[0.0] * 25))
    z, n, p = 1.959964, 40, 15 / 40
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert (found.mean, found.n, found.missing, found.method) == (0.375, 40, 0, "wilson")
    assert found.lo == pytest.approx(centre - half, abs=1e-6)
    assert found.hi == pytest.approx(centre + half, abs=1e-6)


def test_all_passes_are_not_certainty() -> None:
    found = mean_interval(singles(1.0, 1.0, 1.0, 1.0))
    assert found.mean == found.hi == 1.0
    assert found.lo is not None and 0.4 < found.lo < 0.6


def test_missing_values_are_counted_and_never_zero() -> None:
    found = mean_interval({"a": [1.0, None], "b": [None], "c": [0.5, 0.5]})
    assert (found.mean, found.n, found.missing) == (0.75, 2, 2)


def test_a_task_weighs_the_same_however_often_it_was_repeated() -> None:
    assert mean_interval({"a": [0.0] * 9, "b": [0.8]}).mean == pytest.approx(0.4)


def test_repeats_do_not_pass_for_tasks() -> None:
    rng = random.Random(5)
    levels = [rng.random() for _ in range(20)]
    once = mean_interval({f"t{i}": [level] for i, level in enumerate(levels)})
    often = mean_interval({f"t{i}": [level] * 50 for i, level in enumerate(levels)})
    assert often.n == once.n == 20
    assert (often.lo, often.hi) == pytest.approx((once.lo, once.hi))


def test_nothing_measured_is_no_number() -> None:
    assert mean_interval({"a": [None, None]}) == Interval(mean=None, lo=None, hi=None, n=0, missing=2)
    assert mean_interval({}) == Interval(mean=None, lo=None, hi=None, n=0, missing=0)


def test_one_task_has_a_mean_and_no_interval() -> None:
    assert mean_interval({"a": [0.25, 0.5]}) == Interval(mean=0.375, lo=None, hi=None, n=1, missing=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_a_number_is_refused_by_task(bad: float) -> None:
    with pytest.raises(UsageError, match="task t0001"):
        mean_interval(singles(0.5, bad))


def test_the_bootstrap_is_close_to_the_normal_interval_on_many_tasks() -> None:
    values = np.random.default_rng(0).random(400)
    found = mean_interval(singles(*map(float, values)))
    half = 1.96 * values.std() / 20
    assert found.method == "bootstrap"
    assert found.lo == pytest.approx(values.mean() - half, abs=0.005)
    assert found.hi == pytest.approx(values.mean() + half, abs=0.005)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(200):
        found = mean_interval(singles(*map(float, rng.random(40))))
        assert found.lo is not None and found.hi is not None
        hits += found.lo <= 0.5 <= found.hi
    assert 0.90 <= hits / 200 <= 0.99


@settings(max_examples=40)
@given(TASKS, st.randoms(use_true_random=False))
def test_order_changes_nothing_and_the_mean_lies_inside(
    values: dict[str, list[float | None]], rng: random.Random
) -> None:
    found = mean_interval(values)
    shuffled = list(values.items())
    rng.shuffle(shuffled)
    assert mean_interval(dict(shuffled)) == found
    assert found.n == sum(any(v is not None for v in repeats) for repeats in values.values())
    assert found.missing == sum(v is None for repeats in values.values() for v in repeats)
    if found.lo is not None and found.hi is not None and found.mean is not None:
        assert found.lo <= found.mean <= found.hi


def test_the_seed_decides_the_resamples() -> None:
    values = singles(*(i / 30 for i in range(30)))
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert mean_interval(values, seed=1).lo != mean_interval(values, seed=2).lo


def test_a_paired_difference_uses_common_tasks_only() -> None:
    treatment: TaskValues = {"a": [1.0], "b": [1.0, 0.0], "c": [1.0], "d": [None]}
    control: TaskValues = {"a": [0.0], "b": [0.5], "d": [1.0], "e": [0.25, None]}
    found = paired_interval(treatment, control)
    assert (found.mean, found.n) == (0.5, 2)
    assert found.missing == 5, "two were not measured; c, d and e have no partner for one value each"


def test_pairing_removes_the_spread_between_tasks() -> None:
    levels = [i / 50 for i in range(40)]
    control = singles(*levels)
    treatment = singles(*(level + (0.1 if i % 2 else 0.12) for i, level in enumerate(levels)))
    found = paired_interval(treatment, control)
    assert found.mean == pytest.approx(0.11)
    assert found.lo is not None and found.lo > 0.1 and found.method == "bootstrap"


@settings(max_examples=40)
@given(TASKS, TASKS)
def test_a_difference_turns_its_sign_with_its_arms(one: TaskValues, other: TaskValues) -> None:
    forth, back = paired_interval(one, other), paired_interval(other, one)
    assert (forth.n, forth.missing) == (back.n, back.missing)
    handed_in = sum(map(len, one.values())) + sum(map(len, other.values()))
    assert forth.missing <= handed_in
    if forth.mean is not None and back.mean is not None:
        assert forth.mean == pytest.approx(-back.mean)
