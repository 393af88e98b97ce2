"""Weighted doubly robust: normalised weights by hand, the linearised error against a jackknife, and coverage."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from optimizers.episode_log import EpisodeLog, Floats
from optimizers.replay.estimates import Bound, require
from optimizers.replay.kernels_dr import RoundSums
from optimizers.replay.q_tabular import TabularQ
from optimizers.replay.testing import ask
from optimizers.replay.weighted_doubly_robust import WeightedDoublyRobust, points_of
from tests.worlds.quarters import CANDIDATES_L_C, GivenQ, covered, quarters, sampled, target, truth_M_C

WRONG = GivenQ((0.9, -0.3, 0.4, 0.1, 0.8, -0.6, 0.2))


def bounds(estimator: WeightedDoublyRobust, log: EpisodeLog) -> list[list[Bound]]:
    """Per objective, per candidate."""
    found = [require(answer).values for answer in ask(estimator, log, target())]
    return [[values[name] for values in found] for name in log.objectives]


def values_M_C(estimator: WeightedDoublyRobust, log: EpisodeLog) -> Floats:
    return np.array([[bound.value for bound in row] for row in bounds(estimator, log)])


def random_sums(seed: int, T: int) -> tuple[RoundSums, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Sums of one objective over T tasks, two rounds, three candidates."""
    rng = np.random.default_rng(seed)
    episodes_T = rng.integers(3, 9, T)
    weight_T_K_C = episodes_T[:, None, None] * rng.gamma(4, 0.25, (T, 2, 3))
    return RoundSums(weight_T_K_C, weight_T_K_C * rng.normal(0, 0.3, (T, 2, 3)), rng.random((T, 2, 3))), episodes_T


def test_one_round_is_the_self_normalised_estimator() -> None:
    # first rounds alone: v + (sum of w (r - q)) / (sum of w)
    log = sampled(5)
    ended = log.take(log.option_N_K[:, 1] < 0)
    first = replace(
        log,
        option_N_K=log.option_N_K[:, :1].copy(),
        propensity_N_K=log.propensity_N_K[:, :1].copy(),
        rewards_N_K_M=log.rewards_N_K_M.sum(axis=1, keepdims=True),
    )
    assert 0 < ended.n < first.n
    q_L = np.array(WRONG.q_L[:3])
    weight_N_C = CANDIDATES_L_C[first.option_N_K[:, 0]] / first.propensity_N_K
    residual_N_M = first.rewards_N_K_M[:, 0] - q_L[first.option_N_K[:, 0], None]
    expected_C_M = (q_L @ CANDIDATES_L_C[:3])[:, None] + weight_N_C.T @ residual_N_M / weight_N_C.sum(axis=0)[:, None]
    assert values_M_C(WeightedDoublyRobust(WRONG), first) == pytest.approx(expected_C_M.T, abs=1e-9)


def test_weights_of_ended_episodes_are_carried_on() -> None:
    log = sampled(6)
    live_N_K = log.option_N_K >= 0
    ratio_N_K_C = np.where(live_N_K[:, :, None], CANDIDATES_L_C[log.option_N_K] / log.propensity_N_K[:, :, None], 1.0)
    weight_N_K_C = np.cumprod(ratio_N_K_C, axis=1)
    share_N_K_C = weight_N_K_C / weight_N_K_C.sum(axis=0)
    expected_M_C = np.einsum("nkc,nkm->mc", share_N_K_C, log.rewards_N_K_M)
    assert values_M_C(WeightedDoublyRobust(GivenQ((0.0,) * 7)), log) == pytest.approx(expected_M_C, abs=1e-9)


@pytest.mark.parametrize("model", [WRONG, TabularQ()], ids=lambda model: model.id)
def test_where_mean_weights_are_exact_any_model_gives_the_truth(model: GivenQ | TabularQ) -> None:
    allowed = 1e-9 if model is WRONG else 0.01
    assert values_M_C(WeightedDoublyRobust(model), quarters(copies=2)) == pytest.approx(truth_M_C(), abs=allowed)


def test_the_error_is_that_of_leaving_out_one_task_at_a_time() -> None:
    T = 200
    sums, episodes_T = random_sums(0, T)
    without = []
    for t in range(T):
        kept = np.arange(T) != t
        without.append(points_of(RoundSums(*(part[kept] for part in sums)), episodes_T[kept])[0])
    spread_C = np.sqrt((T - 1) / T * ((np.array(without) - np.mean(without, axis=0)) ** 2).sum(axis=0))
    assert points_of(sums, episodes_T)[1] == pytest.approx(spread_C, rel=0.03)


def test_a_round_that_no_weight_reaches_adds_nothing() -> None:
    sums, episodes_T = random_sums(1, 20)
    gone = RoundSums(*(part.copy() for part in sums))
    gone.weight_T_K_C[:, 1], gone.residual_T_K_C[:, 1], gone.value_T_K_C[:, 1] = 0.0, 0.0, 0.0
    point_C, error_C = points_of(gone, episodes_T)
    first = RoundSums(*(part[:, :1] for part in sums))
    assert point_C == pytest.approx(points_of(first, episodes_T)[0])
    assert error_C == pytest.approx(points_of(first, episodes_T)[1])


def test_one_task_has_no_error() -> None:
    assert np.isnan(points_of(*random_sums(2, 1))[1]).all()


def test_both_paths_give_the_same_answers() -> None:
    log = sampled(4)
    plain, compiled = (bounds(WeightedDoublyRobust(path=path), log) for path in ("numpy", "numba"))
    for one, other in zip(chain(*plain), chain(*compiled), strict=True):
        assert (one.value, one.lo, one.hi) == pytest.approx((other.value, other.lo, other.hi), abs=1e-9)


def test_intervals_cover_what_they_should() -> None:
    found = []
    for seed in range(120):
        for row, truth_C in zip(bounds(WeightedDoublyRobust(), sampled(seed)), truth_M_C(), strict=True):
            found += covered(row, truth_C)
    assert 0.92 <= np.mean(found) <= 0.98
