"""IPS: obp's formula by hand, unbiased by enumeration, and the contract."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.episode_log import Target
from optimizers.replay.estimates import require
from optimizers.replay.ips import Ips
from optimizers.replay.testing import EstimatorContract
from tests.worlds.enumerated import BEHAVIOUR_L, enumerated, noisy, policies, truth_C_M
from tests.worlds.weighers import answers, bounds, ends, one_step, points


class TestIps(EstimatorContract):
    @pytest.fixture
    def estimator(self) -> Ips:
        return Ips()


def test_the_published_one_step_formula() -> None:
    """mean(w r): (2 x 1 + 0.5 x 0.4 + 1.25 x 0 + 0.8 x 0.5) / 4 = 0.65."""
    log, target = one_step([2, 0.5, 1.25, 0.8], [1, 0.4, 0, 0.5], [0.25, 0.5, 0.4, 0.9], copies=50)
    assert points(Ips(), log, target)[0, 0] == pytest.approx(0.65, abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_where_each_trajectory_has_its_frequency_it_is_the_truth(seed: int) -> None:
    target = policies(seed)
    assert np.allclose(points(Ips(), enumerated(), target), truth_C_M(target), atol=1e-9)


def test_on_policy_it_is_the_plain_mean() -> None:
    log = noisy(0)
    assert np.allclose(points(Ips(), log, Target(("b",), BEHAVIOUR_L[:, None])), log.values_N_M.mean(axis=0))


def test_what_is_unsupported_adds_to_the_upper_end_alone() -> None:
    """4 % of the first draws are in no option: the same mean counts them 0, and they may be worth 1."""
    log, target = enumerated(), Target(("b",), BEHAVIOUR_L[:, None])
    lacking = Target(("b",), BEHAVIOUR_L[:, None] * np.array([0.96, 0.96, 1, 1, 1])[:, None])
    (answer,) = answers(Ips(), log, lacking)
    assert require(answer).support.unsupported == pytest.approx(0.04)
    assert np.allclose(points(Ips(), log, lacking), 0.96 * points(Ips(), log, target))
    full, less = ends(Ips(), log, target), ends(Ips(), log, lacking)
    assert np.allclose(less[..., 0], 0.96 * full[..., 0]) and np.allclose(less[..., 1], 0.96 * full[..., 1] + 0.04)


def test_a_value_beyond_the_scale_is_clipped() -> None:
    log, target = one_step([2, 2, 2, 2], [1, 1, 0.8, 0.9], [0.25, 0.4, 0.5, 0.3], copies=50)
    ((bound,),) = bounds(Ips(), log, target)
    assert bound.value == bound.hi == 1
