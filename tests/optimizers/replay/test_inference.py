"""Ratios of sums per task: values and intervals against what is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from optimizers.replay.inference import Method, ratio_intervals


def sums(seed: int, *, T: int = 12, K: int = 2, M: int = 2, C: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Weights and rewards per task, the rewards at most the weights."""
    draw = np.random.default_rng(seed)
    weight_T_K_C = draw.exponential(size=(T, K, C))
    return weight_T_K_C[:, :, None] * draw.random((T, K, M, C)), weight_T_K_C


def test_with_equal_weights_it_is_the_t_interval_of_the_task_means() -> None:
    value_T = np.random.default_rng(0).random(9)
    found = ratio_intervals(value_T[:, None, None, None] * 4, np.full((9, 1, 1), 4.0))
    wanted = ttest_1samp(value_T, 0).confidence_interval()
    assert found.value_M_C[0, 0] == pytest.approx(value_T.mean())
    assert (found.lo_M_C[0, 0], found.hi_M_C[0, 0]) == pytest.approx((wanted.low, wanted.high))


def test_the_error_is_that_of_deleting_a_task_at_a_time() -> None:
    """The jackknife, which knows nothing of influence functions, agrees where no task is large."""
    reward, weight = sums(1, T=400)
    found = ratio_intervals(reward, weight)
    left_T_M_C = np.array(
        [ratio_intervals(np.delete(reward, t, 0), np.delete(weight, t, 0)).value_M_C for t in range(400)]
    )
    error_M_C = np.sqrt(399 / 400 * ((left_T_M_C - left_T_M_C.mean(axis=0)) ** 2).sum(axis=0))
    assert np.allclose(found.hi_M_C - found.value_M_C, 1.966 * error_M_C, rtol=0.02)


def test_the_bootstrap_agrees_with_the_influence_function_on_many_tasks() -> None:
    reward, weight = sums(2, T=400)
    plain, drawn = ratio_intervals(reward, weight), ratio_intervals(reward, weight, method="bootstrap")
    assert (plain.value_M_C == drawn.value_M_C).all()
    assert np.allclose(drawn.hi_M_C - drawn.lo_M_C, plain.hi_M_C - plain.lo_M_C, rtol=0.15)


@pytest.mark.parametrize("method", ["influence", "bootstrap"])
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_value_lies_inside_and_every_candidate_stands_for_itself(method: Method, seed: int) -> None:
    reward, weight = sums(seed)
    found = ratio_intervals(reward, weight, method=method)
    assert (found.lo_M_C < found.hi_M_C).all()
    if method == "influence":
        assert (found.lo_M_C < found.value_M_C).all() and (found.value_M_C < found.hi_M_C).all()
    alone = ratio_intervals(reward[..., 1:2], weight[..., 1:2], method=method)
    for one, all_of_them in zip(alone, found, strict=True):
        np.testing.assert_allclose(one[:, 0], all_of_them[:, 1], rtol=1e-9)


def test_repeating_every_episode_of_a_task_makes_nothing_surer() -> None:
    reward, weight = sums(3)
    for one, other in zip(ratio_intervals(reward, weight), ratio_intervals(5 * reward, 5 * weight), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_one_task_has_a_value_and_no_interval() -> None:
    reward, weight = sums(4, T=1)
    found = ratio_intervals(reward, weight)
    assert np.isfinite(found.value_M_C).all() and np.isnan(found.lo_M_C).all() and np.isnan(found.hi_M_C).all()


@pytest.mark.parametrize("method", ["influence", "bootstrap"])
def test_tasks_that_all_show_the_same_may_hide_others(method: Method) -> None:
    """Of 30 tasks of equal weight that all pass, 1 - .05^(1/30) = 9.5 % may be others."""
    weight = np.ones((30, 1, 1))
    found = ratio_intervals(weight[:, :, None], weight, method=method)
    assert found.lo_M_C[0, 0] == pytest.approx(0.05 ** (1 / 30)) and found.hi_M_C[0, 0] == pytest.approx(1)
    uneven = weight * np.array([100.0, *np.ones(29)])[:, None, None]
    assert ratio_intervals(uneven[:, :, None], uneven, method=method).lo_M_C[0, 0] < found.lo_M_C[0, 0] - 0.2


def test_nothing_weighed_counts_nothing() -> None:
    found = ratio_intervals(np.zeros((5, 1, 2, 3)), np.zeros((5, 1, 3)))
    assert (found.value_M_C == 0).all() and np.isfinite(found.hi_M_C).all()
