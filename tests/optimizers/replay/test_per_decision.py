"""Per-decision SNIPS: the definition by hand, the truth by enumeration, and the contract."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.episode_log import Target
from optimizers.replay.per_decision import PerDecisionSnips
from optimizers.replay.snips import Snips
from optimizers.replay.testing import EstimatorContract
from tests.worlds.enumerated import BEHAVIOUR_L, enumerated, noisy, policies, truth_C_M
from tests.worlds.weighers import ends, one_step, points


class TestPerDecisionSnips(EstimatorContract):
    @pytest.fixture
    def estimator(self) -> PerDecisionSnips:
        return PerDecisionSnips()


def test_the_definition_round_by_round() -> None:
    log, target = noisy(3), policies(3)
    ratio_L_C = np.concatenate([target.probability_L_C / log.behaviour_L[:, None], np.ones((1, 5))])
    weight_N_K_C = np.cumprod(ratio_L_C[log.option_N_K], axis=1)
    wanted_C_M = sum(
        np.einsum("nc,nm->cm", weight_N_K_C[:, k], log.rewards_N_K_M[:, k]) / weight_N_K_C[:, k].sum(axis=0)[:, None]
        for k in range(2)
    )
    assert np.allclose(points(PerDecisionSnips(), log, target), wanted_C_M, atol=1e-9)


def test_with_one_round_it_is_snips() -> None:
    log, target = one_step([2, 0.5, 1.25, 0.8], [1, 0.4, 0, 0.5], [0.25, 0.5, 0.4, 0.9], copies=50)
    assert points(PerDecisionSnips(), log, target)[0, 0] == pytest.approx(2.6 / 4.55, abs=1e-9)
    assert np.allclose(ends(PerDecisionSnips(), log, target), ends(Snips(), log, target), atol=1e-9)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_where_each_trajectory_has_its_frequency_it_is_the_truth(seed: int) -> None:
    target = policies(seed)
    assert np.allclose(points(PerDecisionSnips(), enumerated(), target), truth_C_M(target), atol=1e-9)


def test_on_policy_it_is_the_plain_mean() -> None:
    log = noisy(0)
    found = points(PerDecisionSnips(), log, Target(("b",), BEHAVIOUR_L[:, None]))
    assert np.allclose(found, log.values_N_M.mean(axis=0))


def test_it_is_tighter_than_snips_where_rewards_come_early() -> None:
    """All reward in the first round: later draws add nothing but spread to whole-episode weights."""
    log, target = noisy(5, n=2_000, tasks=60), policies(5)
    early = log.rewards_N_K_M.copy()
    early[:, 1] = 0
    first = type(log)(**{**vars(log), "rewards_N_K_M": early})
    widths = [np.diff(ends(estimator, first, target)) for estimator in (PerDecisionSnips(), Snips())]
    assert widths[0].mean() < widths[1].mean()
