"""SNIPS: obp's formula by hand, the truth by enumeration, and the contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.episode_log import Target
from optimizers.replay.estimates import MAX_UNSUPPORTED
from optimizers.replay.snips import Snips
from optimizers.replay.testing import EstimatorContract
from tests.worlds.enumerated import BEHAVIOUR_L, enumerated, noisy, policies, truth_C_M
from tests.worlds.weighers import ends, one_step, points


class TestSnips(EstimatorContract):
    @pytest.fixture
    def estimator(self) -> Snips:
        return Snips()


class TestSnipsByBootstrap(EstimatorContract):
    @pytest.fixture
    def estimator(self) -> Snips:
        return Snips(interval="bootstrap")


def test_the_published_one_step_formula() -> None:
    """sum(w r) / sum(w): 2.6 / 4.55."""
    log, target = one_step([2, 0.5, 1.25, 0.8], [1, 0.4, 0, 0.5], [0.25, 0.5, 0.4, 0.9], copies=50)
    assert points(Snips(), log, target)[0, 0] == pytest.approx(2.6 / 4.55, abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_where_each_trajectory_has_its_frequency_it_is_the_truth(seed: int) -> None:
    target = policies(seed)
    assert np.allclose(points(Snips(), enumerated(), target), truth_C_M(target), atol=1e-9)


def test_on_policy_it_is_the_plain_mean() -> None:
    log = noisy(0)
    assert np.allclose(points(Snips(), log, Target(("b",), BEHAVIOUR_L[:, None])), log.values_N_M.mean(axis=0))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_permuting_episodes_changes_nothing(seed: int) -> None:
    log, target = noisy(seed), policies(seed)
    shuffled = log.take(np.random.default_rng(seed).permutation(log.n))
    assert np.allclose(points(Snips(), log, target), points(Snips(), shuffled, target), atol=1e-9)
    assert np.allclose(ends(Snips(), log, target), ends(Snips(), shuffled, target), atol=1e-9)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 0.9 * MAX_UNSUPPORTED))
def test_an_unsupported_action_never_narrows_an_interval(seed: int, share: float) -> None:
    """The first state gets an option that was never recorded, and each candidate some probability of it."""
    log, target = noisy(seed), policies(seed)
    wider = replace(
        log,
        option_N_K=np.where(log.option_N_K > 1, log.option_N_K + 1, log.option_N_K),
        state_L=np.array([0, 0, 0, 1, 1, 1], dtype=np.int32),
        action_L=np.array([0, 1, 4, 2, 3, 4], dtype=np.int32),
        behaviour_L=np.insert(log.behaviour_L, 2, 0.0),
    )
    p_L_C = target.probability_L_C
    first_L_C = np.concatenate([p_L_C[:2] * (1 - share), np.full((1, p_L_C.shape[1]), share)])
    more = Target(target.names, np.concatenate([first_L_C, p_L_C[2:]]))
    before, after = ends(Snips(), log, target), ends(Snips(), wider, more)
    assert (after[..., 0] <= before[..., 0] + 1e-9).all() and (after[..., 1] >= before[..., 1] - 1e-9).all()


def test_numba_and_numpy_give_the_same() -> None:
    log, target = noisy(1), policies(1, C=70)
    one, other = (ends(Snips(path="numba"), log, target), ends(Snips(path="numpy"), log, target))
    assert np.allclose(one, other, rtol=1e-9)
