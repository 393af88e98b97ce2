"""Doubly robust sums against hand-made one-step numbers, a plain loop, and expectations that must hold exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.episode_log import Floats
from optimizers.replay.kernels_dr import CHUNK, Logged, Models, RoundSums, dr_sums, kernels, wdr_sums
from tests.worlds.quarters import (
    CANDIDATES_L_C,
    STATE_L,
    quarters,
    truth_M_C,
    truth_q_M_L_C,
    truth_v_M_S_C,
)


def random_case(seed: int, *, C: int = 3, tasks: int = 4, most: int = 9) -> tuple[Logged, Models]:
    """Episodes of up to four rounds with any weights, rewards and tables."""
    rng = np.random.default_rng(seed)
    start_T = np.concatenate([[0], np.cumsum(rng.integers(1, most, tasks))])
    N, K, S, A = int(start_T[-1]), 4, 5, 3
    ended_N_K = np.arange(K) >= rng.integers(0, K + 1, N)[:, None]
    option_N_K = np.where(ended_N_K, -1, rng.integers(0, S * A, (N, K))).astype(np.int32)
    logged = Logged(
        option_N_K,
        np.where(ended_N_K, 1.0, rng.uniform(1, 4, (N, K))),
        np.where(ended_N_K, 0.0, rng.normal(size=(N, K))),
        start_T.astype(np.int64),
    )
    models = Models(
        np.repeat(np.arange(S), A).astype(np.int32),
        rng.random((S * A, C)),
        rng.normal(size=(S * A, C)),
        rng.normal(size=(S, C)),
    )
    return logged, models


def steps(logged: Logged, models: Models, n: int) -> Iterator[tuple[float, Floats, Floats, Floats]]:
    """Reward, ratio, q and v of each round of episode n."""
    for option, inverse, reward in zip(*(rows[n] for rows in logged[:3]), strict=True):
        if option >= 0:
            ratio_C = models.probability_L_C[option] * inverse
            yield reward, ratio_C, models.q_L_C[option], models.v_S_C[models.state_L[option]]


def plain_dr(logged: Logged, models: Models) -> Floats:
    """As the paper writes it, one episode after the other."""
    sums_T_C = np.zeros((len(logged.start_T) - 1, models.q_L_C.shape[1]))
    for t, (a, b) in enumerate(zip(logged.start_T[:-1], logged.start_T[1:], strict=True)):
        for n in range(a, b):
            score_C = np.zeros(models.q_L_C.shape[1])
            for reward, ratio_C, q_C, v_C in reversed(list(steps(logged, models, n))):
                score_C = v_C + ratio_C * (reward + score_C - q_C)
            sums_T_C[t] += score_C
    return sums_T_C


def plain_wdr(logged: Logged, models: Models) -> RoundSums:
    shape = (len(logged.start_T) - 1, logged.option_N_K.shape[1], models.q_L_C.shape[1])
    sums = RoundSums(np.zeros(shape), np.zeros(shape), np.zeros(shape))
    for t, (a, b) in enumerate(zip(logged.start_T[:-1], logged.start_T[1:], strict=True)):
        for n in range(a, b):
            weight_C, rounds = np.ones(shape[2]), list(steps(logged, models, n))
            for k in range(shape[1]):
                if k < len(rounds):
                    reward, ratio_C, q_C, v_C = rounds[k]
                    sums.value_T_K_C[t, k] += weight_C * v_C
                    weight_C = weight_C * ratio_C
                    sums.residual_T_K_C[t, k] += weight_C * (reward - q_C)
                sums.weight_T_K_C[t, k] += weight_C
    return sums


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_sums_are_those_of_the_plain_loop(seed: int, C: int) -> None:
    logged, models = random_case(seed, C=C)
    assert dr_sums(logged, models) == pytest.approx(plain_dr(logged, models), rel=1e-9, abs=1e-9)
    for found, expected in zip(wdr_sums(logged, models), plain_wdr(logged, models), strict=True):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_task_may_reach_over_many_chunks_and_a_chunk_over_many_tasks() -> None:
    logged, models = random_case(0, tasks=300, most=2 * CHUNK // 100)
    first = Logged(*logged[:3], np.array([0, 2 * CHUNK + 7, *range(2 * CHUNK + 8, len(logged.option_N_K) + 1)]))
    for case in (logged, first):
        assert dr_sums(case, models) == pytest.approx(plain_dr(case, models), rel=1e-9, abs=1e-9)
        assert wdr_sums(case, models).weight_T_K_C == pytest.approx(plain_wdr(case, models).weight_T_K_C, rel=1e-9)


def test_one_step_by_hand() -> None:
    # behaviour (1/4, 3/4), candidate (1/2, 1/2): weights 2 and 2/3; q (.6, .3), so v = .45
    # option 0 with rewards 1 and 0, option 1 with rewards 1, 0, 0
    logged = Logged(
        np.array([[0], [0], [1], [1], [1]], np.int32),
        np.array([[4.0], [4.0], [4 / 3], [4 / 3], [4 / 3]]),
        np.array([[1.0], [0.0], [1.0], [0.0], [0.0]]),
        np.array([0, 5]),
    )
    models = Models(np.zeros(2, np.int32), np.array([[0.5], [0.5]]), np.array([[0.6], [0.3]]), np.array([[0.45]]))
    # 2 x .4 - 2 x .6 + 2/3 x .7 - 2/3 x .3 - 2/3 x .3 = -1/3
    corrections = 0.8 - 1.2 + 1.4 / 3 - 0.2 - 0.2
    assert dr_sums(logged, models) / 5 == pytest.approx(0.45 + corrections / 5, abs=1e-9)
    sums = wdr_sums(logged, models)
    assert sums.weight_T_K_C.item() == pytest.approx(6.0, abs=1e-9)
    assert sums.residual_T_K_C.item() == pytest.approx(corrections, abs=1e-9)
    assert sums.value_T_K_C.item() == pytest.approx(5 * 0.45, abs=1e-9)


@given(st.integers(0, 2**32))
def test_with_true_propensities_any_model_gives_the_truth_on_average(seed: int) -> None:
    log, rng = quarters(tasks=1), np.random.default_rng(seed)
    for m in range(2):
        logged = Logged(log.option_N_K, 1 / log.propensity_N_K, log.rewards_N_K_M[:, :, m].copy(), np.array([0, log.n]))
        q_L_C = rng.normal(size=(7, 3))
        v_S_C = np.add.reduceat(q_L_C * CANDIDATES_L_C, [0, 3, 5], axis=0)
        mean_C = dr_sums(logged, Models(STATE_L, CANDIDATES_L_C, q_L_C, v_S_C))[0] / log.n
        assert mean_C == pytest.approx(truth_M_C()[m], abs=1e-9)


@given(st.integers(0, 2**32))
def test_with_the_true_model_any_weights_give_the_truth_on_average(seed: int) -> None:
    # the weight may depend on the option in any way, but not on what it led to
    log, rng = quarters(tasks=1), np.random.default_rng(seed)
    wrong_L = rng.uniform(1, 9, 7)
    inverse_N_K = np.where(log.option_N_K >= 0, wrong_L[log.option_N_K], 1.0)
    q_M_L_C = truth_q_M_L_C()
    v_M_S_C = truth_v_M_S_C(CANDIDATES_L_C, q_M_L_C)
    for m in range(2):
        logged = Logged(log.option_N_K, inverse_N_K, log.rewards_N_K_M[:, :, m].copy(), np.array([0, log.n]))
        models = Models(STATE_L, CANDIDATES_L_C, q_M_L_C[m], v_M_S_C[m])
        assert dr_sums(logged, models)[0] / log.n == pytest.approx(truth_M_C()[m], abs=1e-9)


def test_little_work_stays_with_numpy_and_a_wish_is_granted() -> None:
    from optimizers.replay import kernels_dr_numba

    assert kernels(work=10).dr_sums is dr_sums
    assert kernels("numpy", work=10**12).wdr_sums is wdr_sums
    assert kernels("numba", work=10).dr_sums is kernels_dr_numba.dr_sums
    assert kernels(work=10**12).wdr_sums is kernels_dr_numba.wdr_sums
