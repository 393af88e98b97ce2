from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from optimizers.episode_log import Floats
from optimizers.gate.sequential import (
    AIM,
    FIRST_SD,
    FIRST_TASKS,
    SHARES,
    confidence_interval,
    e_and_p,
    e_process,
    e_value,
)
from signatures.errors import UsageError

ALPHA = 0.025
TRIALS = 2_000
BAR = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / TRIALS)
DIFFERENCES = st.lists(st.floats(-1, 1), min_size=1, max_size=30)
HORIZONS = st.sampled_from([None, 0])
"""0 stands for the number of tasks."""

Draw = Callable[[np.random.Generator, int], Floats]


def _skewed(jitter: float) -> Draw:
    def draw(rng: np.random.Generator, n: int) -> Floats:
        gains = rng.normal(0.0204, jitter, (TRIALS, n))
        return np.where(rng.random((TRIALS, n)) < 0.02, -1.0, gains)

    return draw


NULLS: dict[str, Draw] = {
    "normal": lambda rng, n: np.clip(rng.normal(0, 0.25, (TRIALS, n)), -1, 1),
    "pass/fail": lambda rng, n: rng.choice([-1.0, 0.0, 1.0], p=[0.3, 0.4, 0.3], size=(TRIALS, n)),
    "five levels": lambda rng, n: np.subtract(*rng.choice([0, 0.25, 0.5, 0.75, 1], size=(2, TRIALS, n))),
    "skewed": _skewed(0.0),
    "skewed, jittered": _skewed(0.002),
    "skewed upwards": lambda rng, n: np.where(rng.random((TRIALS, n)) < 0.05, 0.95, -0.05),
}


def _plain_mixed(differences: list[float]) -> float:
    shares = [(place + 0.5) / SHARES for place in range(SHARES)]
    return sum(math.prod(1 + share * value for value in differences) for share in shares) / SHARES


def _plain_hedged(differences: list[float], horizon: int) -> float:
    wealth, square = 1.0, FIRST_TASKS * FIRST_SD**2
    for place, value in enumerate(differences):
        if wealth < 1 / ALPHA:
            left = horizon - place - 0.5
            option = min(max(wealth * ALPHA / AIM, 1e-300), 1 - 1e-12)
            spread = math.sqrt(square / (FIRST_TASKS + place) * left)
            wealth *= 1 + min(1.0, norm.pdf(norm.ppf(option)) / option / spread) * value
        square += value**2
    return wealth


@given(DIFFERENCES)
@settings(max_examples=40, deadline=None)
def test_both_ways_to_bet_agree_with_a_plain_loop(differences: list[float]) -> None:
    values, n = np.array(differences), len(differences)
    assert float(e_value(values, 1.0)) == pytest.approx(_plain_mixed(differences), rel=1e-9)
    hedged = float(e_value(values, 1.0, horizon=n + 3))
    assert hedged == pytest.approx(_plain_hedged(differences, n + 3), rel=1e-6, abs=1e-9)


@given(DIFFERENCES, st.floats(0, 1), HORIZONS)
@settings(deadline=None)
def test_a_fair_next_difference_leaves_the_expected_wealth_as_it_was(
    past: list[float], step: float, horizon: int | None
) -> None:
    """Exactly: the stake is fixed before the difference is seen."""
    horizon = None if horizon is None else len(past) + 1
    up = e_process(np.array([*past, step]), 1.0, horizon=horizon)
    down = e_process(np.array([*past, -step]), 1.0, horizon=horizon)
    assert np.array_equal(up[:-1], down[:-1])
    assert (up[-1] + down[-1]) / 2 == pytest.approx(up[-2], rel=1e-9)
    assert up.min() >= 0 and down.min() >= 0


@given(DIFFERENCES, st.floats(0.1, 50), HORIZONS)
@settings(deadline=None)
def test_the_unit_of_the_score_changes_nothing(differences: list[float], unit: float, horizon: int | None) -> None:
    values, horizon = np.array(differences), None if horizon is None else len(differences)
    scaled = e_value(np.clip(values * unit, -unit, unit), unit, horizon=horizon)
    assert float(scaled) == pytest.approx(float(e_value(values, 1.0, horizon=horizon)), rel=1e-6)


@given(DIFFERENCES, HORIZONS)
@settings(max_examples=50, deadline=None)
def test_the_interval_holds_the_mean_and_excludes_zero_only_with_the_e_value(
    differences: list[float], horizon: int | None
) -> None:
    values, horizon = np.array(differences), None if horizon is None else len(differences)
    lo, hi = confidence_interval(values, 1.0, ALPHA, horizon=horizon)
    assert -1 <= lo <= values.mean() + 1e-12 and values.mean() - 1e-12 <= hi <= 1
    turned = confidence_interval(-values, 1.0, ALPHA, horizon=horizon)
    assert turned == pytest.approx((-hi, -lo))
    e, p = e_and_p(values, 1.0, horizon=horizon, alpha=ALPHA)
    assert (e >= 1 / ALPHA) == (p <= ALPHA)
    if lo > 0:
        assert e >= 1 / ALPHA
    assert p >= 0.5 ** np.count_nonzero(values)


@pytest.mark.parametrize("n", [6, 8, 12, 20, 48])
@pytest.mark.parametrize("null", NULLS)
def test_no_null_is_promoted_more_often_than_nominal(null: str, n: int) -> None:
    values = NULLS[null](np.random.default_rng(n), n)
    assert np.mean(e_value(values, 1.0, horizon=n) >= 1 / ALPHA) <= BAR
    every_n = e_process(values, 1.0).max(axis=1)
    assert np.mean(every_n >= 1 / ALPHA) <= BAR


@pytest.mark.parametrize("null", NULLS)
def test_wealth_is_at_most_one_on_average(null: str) -> None:
    wealth = e_value(NULLS[null](np.random.default_rng(3), 20), 1.0)
    assert wealth.mean() <= 1 + 4 * wealth.std() / math.sqrt(TRIALS)


def test_looking_before_the_horizon_promotes_nothing_more() -> None:
    values = np.clip(np.random.default_rng(0).normal(0.08, 0.3, (500, 48)), -1, 1)
    wealth = e_process(values, 1.0, horizon=48)
    assert np.array_equal(wealth.max(axis=1) >= 1 / ALPHA, wealth[:, -1] >= 1 / ALPHA)


def test_levels_finer_than_alpha_hold_too() -> None:
    rng, trials = np.random.default_rng(4), 1_000
    values = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], p=[0.2, 0.2, 0.2, 0.2, 0.2], size=(trials, 25))
    levels = np.array([e_and_p(row, 1.0, horizon=25, alpha=0.1)[1] for row in values])
    for level in (0.1, 0.05, 0.025, 0.01):
        assert np.mean(levels <= level) <= level + 3 * math.sqrt(level * (1 - level) / trials)
    assert np.mean(levels <= 0.05) > 0.01


@pytest.mark.parametrize("skewed", [False, True])
def test_intervals_cover_the_mean(skewed: bool) -> None:
    rng = np.random.default_rng(5)
    draws = rng.beta(1, 9, (150, 40)) - 0.1 if skewed else np.clip(rng.normal(0.0, 0.3, (150, 40)), -1, 1)
    ends = [confidence_interval(row, 1.0, ALPHA, horizon=40) for row in draws]
    assert np.mean([lo <= 0.0 <= hi for lo, hi in ends]) >= 0.92


def test_power_stated_for_a_registered_n_is_near_the_t_test() -> None:
    """By simulation the t-test finds 0.98 of these at n = 100, and 0.89 at n = 250."""
    rng = np.random.default_rng(6)
    for effect, n, least in ((0.10, 100, 0.90), (0.05, 250, 0.79)):
        values = np.clip(rng.normal(effect, 0.25, (TRIALS, n)), -1, 1)
        assert np.mean(e_value(values, 1.0, horizon=n) >= 1 / ALPHA) >= least


def test_strong_evidence_has_a_level_far_below_alpha() -> None:
    e, p = e_and_p(np.full(60, 0.5), 1.0, horizon=60)
    assert e >= 40
    assert p < 1e-4
    assert e_and_p(np.full(60, -0.5), 1.0, horizon=60)[1] == 1.0


def test_nothing_is_staked_after_the_horizon() -> None:
    wealth = e_process(np.array([0.3, -0.2, 1.0, 1.0]), 1.0, horizon=2)
    assert wealth[1] == wealth[2] == wealth[3]


def test_no_task_is_no_evidence() -> None:
    assert e_and_p(np.array([]), 1.0, horizon=1) == (1.0, 1.0)
    assert confidence_interval(np.array([]), 2.0, ALPHA) == (-2.0, 2.0)
    assert e_value(np.zeros((3, 0)), 1.0).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("values", "bound", "horizon", "alpha"),
    [
        ([1.1], 1.0, None, 0.025),
        ([math.nan], 1.0, None, 0.025),
        ([0.0], 0.0, None, 0.025),
        ([0.0], 1.0, 0, 0.025),
        ([0.0], 1.0, 1, 0.0),
    ],
)
def test_what_cannot_be_bet_on_is_refused(values: list[float], bound: float, horizon: int | None, alpha: float) -> None:
    with pytest.raises(UsageError):
        e_value(np.array(values), bound, horizon=horizon, alpha=alpha)
