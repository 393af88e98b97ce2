"""Doubly robust: right where either the weights or the model are right, and its interval covers."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from optimizers.episode_log import EpisodeLog, Floats
from optimizers.replay.doubly_robust import DoublyRobust, points_of
from optimizers.replay.estimates import Bound, require
from optimizers.replay.q_ridge import RidgeQ
from optimizers.replay.q_tabular import TabularQ
from optimizers.replay.testing import ask
from tests.worlds.quarters import (
    BEHAVIOUR_L,
    CANDIDATES_L_C,
    PASS_L,
    GivenQ,
    covered,
    quarters,
    sampled,
    target,
    truth_M_C,
)

WRONG = GivenQ((0.9, -0.3, 0.4, 0.1, 0.8, -0.6, 0.2))


def bounds(estimator: DoublyRobust, log: EpisodeLog) -> list[list[Bound]]:
    """Per objective, per candidate."""
    found = [require(answer).values for answer in ask(estimator, log, target())]
    return [[values[name] for values in found] for name in log.objectives]


def values_M_C(estimator: DoublyRobust, log: EpisodeLog) -> Floats:
    return np.array([[bound.value for bound in row] for row in bounds(estimator, log)])


def without_chance() -> EpisodeLog:
    """Each option leads to one state and yields what it is worth."""
    log = quarters(copies=4)
    second_N = log.option_N_K[:, 1]
    usual_N = (second_N < 0) | (log.option_N_K[:, 0] == np.where(second_N < 5, 0, 1))
    fixed = log.take(usual_N)
    rewards_N_K_M = fixed.rewards_N_K_M.copy()
    last_N = np.where(fixed.option_N_K[:, 1] >= 0, 1, 0)
    rows = np.arange(fixed.n)
    rewards_N_K_M[rows, last_N, 0] = PASS_L[fixed.option_N_K[rows, last_N]]
    return replace(fixed, rewards_N_K_M=rewards_N_K_M)


@pytest.mark.parametrize("model", [WRONG, TabularQ(), RidgeQ()], ids=lambda model: model.id)
def test_with_true_propensities_a_wrong_model_gives_the_truth_and_others_nearly(model: GivenQ | TabularQ) -> None:
    # a fitted model is a little off: its folds are not enumerated
    allowed = 1e-9 if model is WRONG else 0.01
    assert values_M_C(DoublyRobust(model), quarters(copies=2)) == pytest.approx(truth_M_C(), abs=allowed)


def test_with_the_true_model_wrong_propensities_change_nothing_and_nothing_varies() -> None:
    log = without_chance()
    wrong_L = np.clip(BEHAVIOUR_L * np.array([1.3, 0.8, 1.1, 0.7, 1.2, 0.9, 1.1]), 0, 1)
    live_N_K = log.option_N_K >= 0
    wrong = replace(log, propensity_N_K=np.where(live_N_K, wrong_L[log.option_N_K], 1.0))
    v1, v2 = (PASS_L[rows] @ CANDIDATES_L_C[rows] for rows in (slice(3, 5), slice(5, 7)))
    truth_C = CANDIDATES_L_C[0] * v1 + CANDIDATES_L_C[1] * v2 + CANDIDATES_L_C[2] * PASS_L[2]
    found = bounds(DoublyRobust(TabularQ(0.0)), wrong)[0]
    assert [bound.value for bound in found] == pytest.approx(truth_C, abs=1e-9)
    for bound in found:
        assert bound.lo == pytest.approx(bound.value, abs=1e-7) and bound.hi == pytest.approx(bound.value, abs=1e-7)


def test_a_model_that_expects_nothing_leaves_per_decision_weighting() -> None:
    log = sampled(3)
    ratio_N_K_C = np.where((log.option_N_K >= 0)[:, :, None], CANDIDATES_L_C[log.option_N_K], 1.0)
    weight_N_K_C = np.cumprod(ratio_N_K_C / log.propensity_N_K[:, :, None], axis=1)
    expected = np.einsum("nkc,nkm->mc", weight_N_K_C, log.rewards_N_K_M) / log.n
    assert values_M_C(DoublyRobust(GivenQ((0.0,) * 7)), log) == pytest.approx(expected, abs=1e-9)


def test_one_task_leaves_nothing_to_fit_on_and_no_interval() -> None:
    log = sampled(3)
    single = replace(log, tasks=("only",), task_N=np.zeros_like(log.task_N))
    assert values_M_C(DoublyRobust(), single) == pytest.approx(
        values_M_C(DoublyRobust(GivenQ((0.0,) * 7)), log), abs=1e-9
    )
    assert all(bound.lo is None and bound.hi is None for row in bounds(DoublyRobust(), single) for bound in row)


def test_both_paths_give_the_same_answers() -> None:
    log = sampled(4)
    plain, compiled = (bounds(DoublyRobust(path=path), log) for path in ("numpy", "numba"))
    for one, other in zip(chain(*plain), chain(*compiled), strict=True):
        assert (one.value, one.lo, one.hi) == pytest.approx((other.value, other.lo, other.hi), abs=1e-9)


def test_errors_are_clustered_by_task() -> None:
    # two tasks with one and three episodes, summed scores 1 and 1: the mean is 2/4
    points = points_of(np.array([[[1.0], [1.0]]]), np.array([1, 3]))
    assert points.value_M_C.tolist() == [[0.5]]
    # residuals 1 - .5 and 1 - 1.5: sqrt(2 / 1 x (.25 + .25)) / 4
    assert points.error_M_C.tolist() == [[0.25]]


def test_intervals_cover_what_they_should() -> None:
    found = []
    for seed in range(120):
        for row, truth_C in zip(bounds(DoublyRobust(), sampled(seed)), truth_M_C(), strict=True):
            found += covered(row, truth_C)
    assert 0.92 <= np.mean(found) <= 0.98
