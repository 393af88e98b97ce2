"""The slope over runs: exact under any order, an interval that agrees with the test, verdicts with their reason."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.episode_log import Floats
from optimizers.gate.slope import (
    Course,
    Orders,
    Slope,
    SlopeVerdict,
    detectable,
    lift_weights,
    orders_of,
    permutation_p,
    resampled_means,
    said,
    slope_interval,
    slope_of,
    verdict_of,
    with_q,
)
from signatures.errors import UsageError

ALPHA = 0.025
NAMES = ("correct", "cheap")
courses = st.lists(st.floats(-1, 1, allow_nan=False), min_size=3, max_size=6)


def course(means: list[float], *, tasks: int = 4, spread: float = 0.0, name: str = "correct", seed: int = 0) -> Course:
    rng = np.random.default_rng(seed)
    return Course("learned", "frozen", name, tuple(mean + rng.normal(0, spread, tasks) for mean in means))


def line(rise: float, name: str = "correct") -> Slope:
    return slope_of(course([rise * run for run in range(7)], spread=0.01, name=name), alpha=ALPHA)


def flat(seed: int = 0, name: str = "correct") -> Slope:
    rng = np.random.default_rng(seed)
    found = slope_of(course(list(rng.permutation([0.0, 0.1, -0.1, 0.05, -0.05, 0.02, -0.02])), name=name), alpha=ALPHA)
    return found.model_copy(update={"p": 0.4, "p_fall": 0.6})


def verdict(*learned: Slope, null: Slope | None = None, confounded: tuple[str, ...] = ()) -> SlopeVerdict:
    return verdict_of(with_q(learned), (null or flat(),), alpha=ALPHA, confounded=confounded)


@settings(deadline=None)
@given(courses)
def test_the_slope_is_that_of_least_squares(means: list[float]) -> None:
    found = slope_of(course(means), resamples=2)
    assert found.slope == pytest.approx(np.polyfit(range(len(means)), means, 1)[0], abs=1e-9)
    assert found.means == pytest.approx(tuple(means))


@settings(deadline=None)
@given(courses)
def test_p_is_the_share_of_orders_with_as_large_a_slope(means: list[float]) -> None:
    """Counted one by one, with `polyfit` instead of ours."""
    places = range(len(means))
    slopes = [np.polyfit(places, order, 1)[0] for order in itertools.permutations(means)]
    rise, fall = permutation_p(np.array(means), orders_of(places))
    near = 1e-7
    assert np.mean(np.array(slopes) >= slopes[0] + near) <= rise <= np.mean(np.array(slopes) >= slopes[0] - near)
    assert np.mean(np.array(slopes) <= slopes[0] - near) <= fall <= np.mean(np.array(slopes) <= slopes[0] + near)


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1, allow_nan=False), min_size=5, max_size=7), st.sampled_from([0.02, 0.05, 0.1]))
def test_the_interval_holds_what_the_test_does_not_refuse(means: list[float], alpha: float) -> None:
    places = np.arange(1.0, len(means) + 1)
    orders = orders_of(range(1, len(means) + 1))
    lo, hi = slope_interval(np.array(means), orders, alpha)
    if lo is None or hi is None:
        assert 1 / math.factorial(len(means)) > alpha
        return
    assert lo <= hi
    for tried in (lo - 0.01, hi + 0.01, (lo + hi) / 2):
        rise, fall = permutation_p(np.array(means) - tried * places, orders)
        assert (lo <= tried <= hi) == (rise > alpha and fall > alpha)


def test_a_perfect_line_has_the_least_p_and_the_other_way_round() -> None:
    found = slope_of(course([0.0, 0.1, 0.2, 0.3, 0.4]), alpha=ALPHA)
    assert found.p == pytest.approx(1 / 120) == found.min_p
    assert found.p_fall == 1.0
    assert found.lo == pytest.approx(0.1)
    assert found.hi == pytest.approx(0.1)
    assert found.slope == pytest.approx(0.1)
    assert slope_of(course([0.4, 0.3, 0.2, 0.1, 0.0])).p_fall == pytest.approx(1 / 120)


def test_equal_runs_are_no_evidence() -> None:
    found = slope_of(course([0.3] * 6))
    assert (found.p, found.p_fall) == (1.0, 1.0)
    assert found.slope == pytest.approx(0.0)


def test_one_jump_after_the_first_run_cannot_be_told_from_luck() -> None:
    """The lowest run is the first by chance once in six: a bound of any test over the order of runs."""
    assert slope_of(course([0.0, 0.3, 0.3, 0.3, 0.3, 0.3])).p == pytest.approx(1 / 6)


def test_many_runs_are_compared_with_drawn_orders_and_the_true_one() -> None:
    orders = orders_of(range(12), seed=3, draws=500)
    assert orders.weights_B_E.shape == (501, 12)
    assert orders.turned_B[0] == pytest.approx(1.0)
    assert permutation_p(np.arange(12.0), orders)[0] == pytest.approx(1 / 501)
    again = orders_of(range(12), seed=3, draws=500)
    assert np.array_equal(orders.weights_B_E, again.weights_B_E)


def test_a_run_without_pairs_keeps_its_place() -> None:
    differences = (np.array([0.0]), np.empty(0), np.array([0.2]), np.array([0.3]))
    found = slope_of(Course("learned", "frozen", "correct", differences, missing=1))
    assert found.means[:2] == (0.0, None)
    assert found.means[2:] == pytest.approx((0.2, 0.3))
    assert found.slope == pytest.approx(0.1)
    assert (found.tasks, found.missing) == (3, 1)
    assert found.min_p == pytest.approx(1 / 6)


def test_one_run_has_no_slope() -> None:
    found = slope_of(course([0.5]))
    assert (found.slope, found.p, found.lo, found.lift) == (None, 1.0, None, None)
    assert verdict(found).verdict == "underpowered"


def test_the_lift_compares_the_ends() -> None:
    found = slope_of(course([0.0, 0.1, 0.0, 0.0, 0.4, 0.5], tasks=30, spread=0.05))
    assert found.ends == 2
    assert found.lift == pytest.approx(0.4, abs=0.03)
    assert found.lift_lo is not None
    assert found.lift_hi is not None
    assert found.lift_lo < 0.4 < found.lift_hi
    assert lift_weights(6, 2) @ np.array([0, 0, 5, 5, 1, 1]) == pytest.approx(1.0)


def test_the_bootstrap_draws_tasks_within_their_runs() -> None:
    means_B_E = resampled_means((np.array([0.0, 1.0]), np.array([5.0])), resamples=2_000)
    assert set(means_B_E[:, 0]) == {0.0, 0.5, 1.0}
    assert np.mean(means_B_E[:, 0]) == pytest.approx(0.5, abs=0.03)
    assert set(means_B_E[:, 1]) == {5.0}


@pytest.mark.parametrize("given", [[1], [1, 1, 2]])
def test_what_has_no_order_is_refused(given: list[int]) -> None:
    with pytest.raises(UsageError, match="each once"):
        orders_of(given)


@pytest.mark.parametrize(("alpha", "value"), [(0.5, 0.0), (0.0, 0.0), (0.025, float("nan"))])
def test_bad_numbers_are_refused(alpha: float, value: float) -> None:
    with pytest.raises(UsageError):
        slope_of(course([0.0, value]), alpha=alpha)


def test_what_can_be_detected_shrinks_with_more_runs() -> None:
    rng = np.random.default_rng(1)
    found = {n: detectable(rng.normal(0, 0.1, n), orders_of(range(n), draws=999), ALPHA) for n in (3, 6, 24)}
    assert found[3] is None  # six orders reach no p of .025
    assert found[6] is not None
    assert found[24] is not None
    assert found[24] < found[6] / 3


def test_a_rise_is_a_slope_and_says_what_it_cost() -> None:
    found = verdict(line(0.05), line(-0.05, name="cheap"))
    assert found.verdict == "slope"
    assert "learned - frozen on correct: +4.97 points per run" in found.reasons[0]
    assert found.reasons[1].startswith("at the cost of cheap")
    assert "the null learner shows none" in found.reasons[-1]


def test_no_slope_says_what_would_show() -> None:
    found = verdict(flat(3), line(0.05, name="cheap"))
    assert found.verdict == "no slope"
    assert "80 % power needs" in found.reasons[1]
    assert found.reasons[2].startswith("also rises: learned - frozen on cheap")


def test_a_fall_is_named() -> None:
    assert verdict(line(-0.05)).verdict == "falls"


def test_too_few_runs_show_nothing_however_steep() -> None:
    found = verdict(slope_of(course([0.0, 0.4, 0.8]), alpha=ALPHA))
    assert found.verdict == "underpowered"
    assert found.reasons[0] == "3 runs allow no p below 0.17"


@pytest.mark.parametrize("rise", [0.05, -0.05])
def test_a_null_learner_with_a_slope_discredits_the_instrument(rise: float) -> None:
    assert verdict(line(0.05), null=line(rise)).verdict == "instrument"


def test_unequal_spend_comes_before_a_slope() -> None:
    found = verdict(line(0.05), confounded=("learned spent 20 % more turns",))
    assert (found.verdict, found.reasons[0]) == ("confounded", "learned spent 20 % more turns")


def test_q_is_over_the_objectives() -> None:
    slopes = with_q([line(0.05, name=name) for name in NAMES] + [flat(name="clean")])
    least = 1 / math.factorial(7)
    assert [one.q for one in slopes] == pytest.approx([1.5 * least, 1.5 * least, 0.4])
    assert "q = " in said(slopes[0])


def aa_rate(spread_of_runs: float, *, rise: float, worlds: int = 400, runs: int = 10) -> float:
    """Share of simulated streams whose verdict is a slope. Five objectives, 12 tasks a run, pass/fail and credit."""
    orders: Orders = orders_of(range(1, runs + 1), draws=999)
    rng = np.random.default_rng(11)
    found = []
    for _ in range(worlds):
        arms = []
        for arm, climb in (("learned", rise), ("null", 0.0)):
            slopes = []
            for objective in ("correct", "fast", "secure", "cheap", "clean"):
                luck_E_1: Floats = rng.normal(0, spread_of_runs, (runs, 1)) + climb * np.arange(runs)[:, None]
                binary_E_T = (rng.random((runs, 12)) < 0.5) * 1.0 - (rng.random((runs, 12)) < 0.5)
                credit_E_T = rng.normal(0, 0.25, (runs, 12))
                differences = (binary_E_T if objective == "secure" else credit_E_T) + luck_E_1
                one = Course(arm, "frozen", objective, tuple(differences))
                slopes.append(slope_of(one, alpha=ALPHA, orders=orders, resamples=2))
            arms.append(with_q(slopes))
        found.append(verdict_of(arms[0], arms[1], alpha=ALPHA).verdict)
    return found.count("slope") / worlds


@pytest.mark.parametrize("spread_of_runs", [0.0, 0.15])
def test_a_learner_that_learns_nothing_shows_a_slope_no_more_often_than_nominal(spread_of_runs: float) -> None:
    worlds = 240
    assert aa_rate(spread_of_runs, rise=0.0, worlds=worlds) <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / worlds) ** 0.5


def test_a_planted_slope_is_found_at_the_stated_power() -> None:
    """3 points a run over 10 runs of 12 tasks with a spread of .25: 80 % and more."""
    assert aa_rate(0.0, rise=0.03, worlds=200) >= 0.8
