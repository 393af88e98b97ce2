"""States in layers: acyclic logs keep their states, others are split by round, and the order is that of digests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizers.episode_log import EpisodeLog, Option, Target
from optimizers.replay.layered import layered, restricted
from signatures.errors import UsageError
from tests.worlds.quarters import CANDIDATES_L_C, quarters, target


def looping() -> EpisodeLog:
    """One state that comes back: three rounds of one option each, or of another that ends the episode."""
    return EpisodeLog(
        objectives=("correct",),
        tasks=("a", "b"),
        features=("x",),
        actions=(Option("continue"), Option("done")),
        task_N=np.array([0, 1], np.int32),
        option_N_K=np.array([[0, 0, 1], [0, 1, -1]], np.int32),
        propensity_N_K=np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 1.0]]),
        rewards_N_K_M=np.array([[0.0, 0.0, 1.0], [0.0, 0.5, 0.0]])[:, :, None],
        state_L=np.zeros(2, np.int32),
        action_L=np.array([0, 1], np.int32),
        behaviour_L=np.array([0.5, 0.5]),
        features_S_F=np.array([[7.0]]),
    )


def test_states_that_never_come_back_stay_one() -> None:
    layers = layered(quarters())
    assert layers.layers == ((slice(0, 3), slice(0, 1)), (slice(3, 7), slice(1, 3)))
    assert layers.origin_L.tolist() == list(range(7))
    assert (layers.n, len(layers.tasks)) == (256, 16)


def test_a_state_that_comes_back_is_split_by_round() -> None:
    layers = layered(looping())
    assert layers.layers == tuple((slice(2 * k, 2 * k + 2), slice(k, k + 1)) for k in range(3))
    assert layers.origin_L.tolist() == [0, 1, 0, 1, 0, 1]
    assert layers.features_S_F.tolist() == [[7.0]] * 3
    by_length = sorted(layers.option_N_K.tolist())
    assert by_length == [[0, 2, 5], [0, 3, -1]]
    assert sorted(layers.state_N_K.tolist()) == [[0, 1, -1], [0, 1, 2]]


def test_a_state_reached_after_paths_of_two_lengths_lies_below_both() -> None:
    log = quarters()
    # the first option of state 0 skips to state 2 at once in some episodes, and by way of state 1 in others
    option_N_K = np.array([[0, 4, 5], [0, 5, -1], [1, 3, -1]], np.int32)
    longer = replace(
        log.take([0, 1, 2]),
        option_N_K=option_N_K,
        propensity_N_K=np.full((3, 3), 0.5),
        rewards_N_K_M=np.zeros((3, 3, 2)),
    )
    layers = layered(longer)
    assert [(states.start, states.stop) for _, states in layers.layers] == [(0, 1), (1, 2), (2, 3)]
    assert len(layers.first_S) == 3


def test_states_that_nobody_visited_are_left_away() -> None:
    log = quarters()
    ended = log.take(log.option_N_K[:, 1] < 0)
    layers = layered(ended)
    assert layers.origin_L.tolist() == [0, 1, 2]
    assert layers.state_N_K[:, 1].tolist() == [-1] * ended.n


def test_tasks_are_ordered_by_their_digests_alone() -> None:
    log = quarters()
    shuffled = layered(log.take(np.random.default_rng(1).permutation(log.n)))
    layers = layered(log)
    assert layers.tasks == shuffled.tasks
    assert set(layers.tasks) == set(log.tasks) and list(layers.tasks) != sorted(log.tasks)
    assert layers.start_T.tolist() == shuffled.start_T.tolist()
    for t in range(16):
        rows = slice(layers.start_T[t], layers.start_T[t + 1])
        mine = log.option_N_K[log.task_N == log.tasks.index(layers.tasks[t])]
        assert sorted(layers.option_N_K[rows].tolist()) == sorted(mine.tolist())


def test_episodes_without_a_propensity_are_not_used() -> None:
    log = quarters()
    propensity_N_K = log.propensity_N_K.copy()
    propensity_N_K[:10, 0] = np.nan
    assert layered(replace(log, propensity_N_K=propensity_N_K)).n == log.n - 10
    with pytest.raises(UsageError, match="no episode"):
        layered(replace(log, propensity_N_K=np.full_like(propensity_N_K, np.nan)))


def test_a_reward_after_the_end_is_an_error() -> None:
    log = quarters()
    rewards_N_K_M = log.rewards_N_K_M.copy()
    rewards_N_K_M[np.flatnonzero(log.option_N_K[:, 1] < 0)[0], 1, 0] = 1.0
    with pytest.raises(UsageError, match="after the end"):
        layered(replace(log, rewards_N_K_M=rewards_N_K_M))


def test_what_was_never_recorded_is_taken_out_and_the_rest_scaled() -> None:
    log = quarters()
    behaviour_L = log.behaviour_L.copy()
    behaviour_L[2] = 0.0
    layers = layered(replace(log.take(log.option_N_K[:, 1] >= 0), behaviour_L=behaviour_L))
    policy_L_C = restricted(layers, target(), slice(0, 3))
    assert policy_L_C[:3, 0] == pytest.approx([1 / 3, 2 / 3, 0.0])
    assert policy_L_C[3:] == pytest.approx(CANDIDATES_L_C[3:])


def test_a_candidate_that_does_nothing_recorded_keeps_nothing() -> None:
    log = quarters()
    nothing = Target(("away",), np.zeros((7, 1)))
    assert restricted(layered(log), nothing, slice(0, 1)).tolist() == [[0.0]] * 7
