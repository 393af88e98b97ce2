"""Episodes as arrays: shapes are checked, and taking rows leaves states and options alone."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.episode_log import EpisodeLog, Option, Target
from signatures.errors import UsageError


def small(rewards_shape: tuple[int, ...] = (2, 2, 1)) -> EpisodeLog:
    """Two episodes of one task in a world of two options; the second ended after one round."""
    rewards_N_K_M = np.zeros(rewards_shape)
    rewards_N_K_M[0, 1] = 1.0
    return EpisodeLog(
        objectives=("correct",),
        tasks=("t",),
        features=("attempts",),
        actions=(Option("done"), Option("continue", "fanout_1")),
        task_N=np.zeros(2, np.int32),
        option_N_K=np.array([[1, 0], [0, -1]], np.int32),
        propensity_N_K=np.array([[0.5, 0.5], [0.5, 1.0]]),
        rewards_N_K_M=rewards_N_K_M,
        state_L=np.zeros(2, np.int32),
        action_L=np.array([0, 1], np.int32),
        behaviour_L=np.array([0.5, 0.5]),
        features_S_F=np.array([[1.0]]),
    )


def test_values_are_sums_of_rewards() -> None:
    assert small().values_N_M.tolist() == [[1.0], [0.0]]


def test_take_keeps_states_and_options() -> None:
    taken = small().take([1, 1, 0])
    assert taken.n == 3
    assert taken.values_N_M[:, 0].tolist() == [0.0, 0.0, 1.0]
    assert taken.state_L is not None and len(taken.state_L) == 2


def test_none_may_be_taken() -> None:
    assert small().take([]).n == 0


def test_a_mask_is_taken_too() -> None:
    assert small().take(np.array([False, True])).option_N_K.tolist() == [[0, -1]]


def test_a_wrong_shape_is_named() -> None:
    with pytest.raises(UsageError, match="rewards_N_K_M"):
        small(rewards_shape=(2, 2, 3))


def test_a_target_has_a_column_per_name() -> None:
    with pytest.raises(UsageError, match="2 names"):
        Target(("a", "b"), np.ones((2, 1)))
    with pytest.raises(UsageError, match="unknown"):
        Target(("a",), np.ones((2, 1)), unknown=((), ()))
