"""Fitted Q evaluation: exact on an exact log, the direct method in one round, and what its interval is and is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizers.episode_log import EpisodeLog, Floats
from optimizers.replay.estimates import Bound, require
from optimizers.replay.fqe import FittedQ
from optimizers.replay.q_ridge import RidgeQ
from optimizers.replay.q_tabular import TabularQ
from optimizers.replay.testing import ask
from signatures.errors import UsageError
from tests.worlds.quarters import CANDIDATES_L_C, covered, quarters, sampled, target, truth_M_C


def bounds(estimator: FittedQ, log: EpisodeLog) -> list[list[Bound]]:
    """Per objective, per candidate."""
    found = [require(answer).values for answer in ask(estimator, log, target())]
    return [[values[name] for values in found] for name in log.objectives]


def values_M_C(estimator: FittedQ, log: EpisodeLog) -> Floats:
    return np.array([[bound.value for bound in row] for row in bounds(estimator, log)])


def test_ids_name_the_model() -> None:
    assert [FittedQ(TabularQ()).id, FittedQ(RidgeQ()).id] == ["fqe-tabular", "fqe-ridge"]


@pytest.mark.parametrize(("model", "allowed"), [(TabularQ(0.0), 1e-9), (RidgeQ(1e-7), 1e-6)])
def test_an_exact_log_gives_the_truth(model: TabularQ | RidgeQ, allowed: float) -> None:
    assert values_M_C(FittedQ(model, resamples=2), quarters(copies=2)) == pytest.approx(truth_M_C(), abs=allowed)


def test_in_one_round_it_is_the_direct_method() -> None:
    # sum over options of probability x mean reward; propensities are not read
    log = sampled(0)
    first = replace(
        log,
        option_N_K=log.option_N_K[:, :1].copy(),
        propensity_N_K=log.propensity_N_K[:, :1].copy(),
        rewards_N_K_M=log.rewards_N_K_M.sum(axis=1, keepdims=True),
    )
    means_L_M = np.array([log.values_N_M[log.option_N_K[:, 0] == option].mean(axis=0) for option in range(3)])
    expected_M_C = means_L_M.T @ CANDIDATES_L_C[:3]
    assert values_M_C(FittedQ(TabularQ(0.0), resamples=2), first) == pytest.approx(expected_M_C, abs=1e-9)
    wrong = replace(first, propensity_N_K=first.propensity_N_K * 0.8)
    assert values_M_C(FittedQ(TabularQ(0.0), resamples=2), wrong) == pytest.approx(expected_M_C, abs=1e-9)


def test_an_episode_without_a_round_is_worth_nothing_and_counts() -> None:
    log = sampled(1)
    option_N_K, rewards_N_K_M = log.option_N_K.copy(), log.rewards_N_K_M.copy()
    propensity_N_K = log.propensity_N_K.copy()
    option_N_K[:100], rewards_N_K_M[:100], propensity_N_K[:100] = -1, 0.0, 1.0
    half = replace(log, option_N_K=option_N_K, rewards_N_K_M=rewards_N_K_M, propensity_N_K=propensity_N_K)
    rest = values_M_C(FittedQ(TabularQ(), resamples=2), log.take(np.arange(100, log.n)))
    assert values_M_C(FittedQ(TabularQ(), resamples=2), half) == pytest.approx(rest * 300 / 400, abs=1e-9)


def test_the_seed_moves_the_interval_a_little_and_the_value_not_at_all() -> None:
    one, other = (bounds(FittedQ(TabularQ(), seed=seed), sampled(2))[0][1] for seed in (0, 1))
    assert one.value == other.value and one.lo != other.lo
    assert one.lo is not None and other.lo is not None
    assert abs(one.lo - other.lo) < 0.3 * (one.value - one.lo)


def test_more_tasks_narrow_the_interval() -> None:
    def width(n: int) -> float:
        bound = bounds(FittedQ(TabularQ()), sampled(3, n=n, tasks=n // 10))[0][1]
        assert bound.lo is not None and bound.hi is not None
        return bound.hi - bound.lo

    assert 1.6 < width(400) / width(1600) < 2.6


@pytest.mark.parametrize("model", [TabularQ(), RidgeQ()], ids=lambda model: model.id)
def test_intervals_cover_where_the_model_can_be_right(model: TabularQ | RidgeQ) -> None:
    found = []
    for seed in range(60):
        for row, truth_C in zip(bounds(FittedQ(model, resamples=40), sampled(seed)), truth_M_C(), strict=True):
            found += covered(row, truth_C)
    assert 0.88 <= np.mean(found) <= 0.99


def test_what_a_model_gets_wrong_is_in_no_interval() -> None:
    # pulled together beyond all that was drawn, options look alike: sure, and wrong
    bound = bounds(FittedQ(TabularQ(1e9)), quarters(copies=40))[0][1]
    assert bound.hi is not None and bound.lo is not None
    assert not bound.lo <= truth_M_C()[0, 1] <= bound.hi


def test_a_spread_needs_two_resamples() -> None:
    with pytest.raises(UsageError, match="resamples"):
        FittedQ(TabularQ(), resamples=1)
