"""Calibration error, Brier score and rank correlation: on published and hand-made tables, and what always holds."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.calibration import calibration_curve

from optimizers.reward.calibration import brier, expected_calibration_error, group_means, rank_correlation
from signatures.errors import UsageError

PAIRS = st.lists(st.tuples(st.integers(0, 10).map(lambda n: n / 10), st.booleans()), min_size=1, max_size=60)


def columns(pairs: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p for p, _ in pairs]), np.array([float(y) for _, y in pairs])


def test_brier_is_that_of_the_published_example() -> None:
    """scikit-learn's documentation of `brier_score_loss`: 0.0375."""
    assert brier(np.array([0.1, 0.9, 0.8, 0.3]), np.array([0.0, 1.0, 1.0, 0.0])) == pytest.approx(0.0375, abs=1e-12)


def test_calibration_error_by_hand() -> None:
    """Two bins of three: |1/3 - 0.2| / 2 + |2/3 - 0.8| / 2."""
    predicted = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    outcome = np.array([0.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    assert expected_calibration_error(predicted, outcome, bins=2) == pytest.approx(2 / 15, abs=1e-12)


def test_a_coin_called_a_coin_has_no_error_and_one_called_certain_has_half() -> None:
    outcome = np.array([0.0, 1.0] * 50)
    assert expected_calibration_error(np.full(100, 0.5), outcome) == pytest.approx(0, abs=1e-12)
    assert expected_calibration_error(np.full(100, 1.0), outcome) == pytest.approx(0.5, abs=1e-12)


def test_calibration_error_is_that_of_the_quantile_curve_where_nothing_ties() -> None:
    rng = np.random.default_rng(4)
    predicted = rng.permutation((np.arange(200) + 0.5) / 200)
    outcome = (rng.random(200) < predicted**2).astype(float)
    truth, said = calibration_curve(outcome, predicted, n_bins=10, strategy="quantile")
    assert expected_calibration_error(predicted, outcome) == pytest.approx(np.abs(truth - said).mean(), abs=1e-12)


@given(PAIRS, st.randoms())
def test_the_order_of_rows_means_nothing(pairs: list[tuple[float, bool]], random: Random) -> None:
    before = expected_calibration_error(*columns(pairs))
    random.shuffle(pairs)
    assert expected_calibration_error(*columns(pairs)) == pytest.approx(before, abs=1e-12)


@given(PAIRS)
def test_the_square_of_the_calibration_error_is_at_most_the_brier_score(pairs: list[tuple[float, bool]]) -> None:
    error = expected_calibration_error(*columns(pairs))
    assert 0 <= error <= 1
    assert error**2 <= brier(*columns(pairs)) + 1e-12


def test_rank_correlation_is_that_of_the_published_example() -> None:
    """The ten pairs of IQ and hours of television of the article on Spearman's rho: -29/165."""
    iq = np.array([106, 100, 86, 101, 99, 103, 97, 113, 112, 110], float)
    hours = np.array([7, 27, 2, 50, 28, 29, 20, 12, 6, 17], float)
    assert rank_correlation(iq, hours) == pytest.approx(-29 / 165, abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_rank_correlation_with_ties_is_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, float).T
    found = rank_correlation(first, second)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)


def test_means_of_groups_that_occur() -> None:
    assert group_means(np.array([1.0, 3.0, 5.0]), np.array([7, 7, 2])).tolist() == [5.0, 2.0]


@pytest.mark.parametrize("function", [brier, expected_calibration_error, rank_correlation])
def test_what_cannot_be_compared_is_refused(function: Callable[[np.ndarray, np.ndarray], float]) -> None:
    for predicted, outcome in (([], []), ([0.5], [0.5, 0.5]), ([np.nan], [1.0])):
        with pytest.raises(UsageError):
            function(np.array(predicted), np.array(outcome))
