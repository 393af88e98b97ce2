"""Backward induction: on a log that is its own expectation the tables are the true ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizers.replay.layered import layered, restricted
from optimizers.replay.q_models import transitions
from optimizers.replay.q_tabular import TabularQ
from tests.worlds.quarters import CANDIDATES_L_C, quarters, target, truth_q_M_L_C, truth_v_M_S_C


def test_means_of_an_exact_log_are_the_truth_for_all_candidates_and_objectives_at_once() -> None:
    layers = layered(quarters())
    tables = transitions(layers).fitted(TabularQ(0.0).prepare(layers), CANDIDATES_L_C, np.ones(16))
    assert tables.q_M_L_C == pytest.approx(truth_q_M_L_C(), abs=1e-12)
    assert tables.v_M_S_C == pytest.approx(truth_v_M_S_C(CANDIDATES_L_C, truth_q_M_L_C()), abs=1e-12)
    assert tables.q_M_L_C[0].flags.c_contiguous


def test_one_candidate_at_a_time_gives_the_same_tables() -> None:
    layers = layered(quarters(tasks=5))
    seen, model = transitions(layers), TabularQ().prepare(layers)
    policy_L_C = restricted(layers, target(), slice(0, 3))
    together = seen.fitted(model, policy_L_C, np.ones(5))
    for c in range(3):
        alone = seen.fitted(model, policy_L_C[:, [c]], np.ones(5))
        assert together.q_M_L_C[:, :, [c]] == pytest.approx(alone.q_M_L_C, abs=1e-14)


def test_a_weight_is_a_number_of_copies_and_zero_leaves_a_task_out() -> None:
    log = quarters(tasks=4)
    layers = layered(log)
    weight_T = np.array([0, 3, 1, 2])
    weighted = transitions(layers).fitted(TabularQ().prepare(layers), CANDIDATES_L_C, weight_T)
    times_N = weight_T[[layers.tasks.index(log.tasks[t]) for t in log.task_N]]
    copied = layered(log.take(np.repeat(np.arange(log.n), times_N)))
    plain = transitions(copied).fitted(TabularQ().prepare(copied), CANDIDATES_L_C, np.ones(3))
    assert weighted.q_M_L_C == pytest.approx(plain.q_M_L_C, abs=1e-12)


def test_without_any_weight_nothing_is_expected() -> None:
    layers = layered(quarters(tasks=2))
    tables = transitions(layers).fitted(TabularQ().prepare(layers), CANDIDATES_L_C, np.zeros(2))
    assert not tables.q_M_L_C.any() and not tables.v_M_S_C.any()


def test_counts_and_rewards_are_those_of_the_log() -> None:
    log = quarters(tasks=3)
    seen = transitions(layered(log))
    assert seen.count_E.sum() == (log.option_N_K >= 0).sum()
    assert seen.rewards_M_E.sum(axis=1) == pytest.approx(log.values_N_M.sum(axis=0))
    assert seen.count_E[seen.pair_E < len(seen.next_P)].sum() == (log.option_N_K[:, 1] >= 0).sum()


def test_a_log_of_one_round_has_no_transition() -> None:
    log = quarters()
    short = log.take(log.option_N_K[:, 1] < 0)
    layers = layered(
        replace(
            short,
            option_N_K=short.option_N_K[:, :1].copy(),
            propensity_N_K=short.propensity_N_K[:, :1].copy(),
            rewards_N_K_M=short.rewards_N_K_M[:, :1].copy(),
        )
    )
    seen = transitions(layers)
    tables = seen.fitted(TabularQ(0.0).prepare(layers), CANDIDATES_L_C[:3], np.ones(len(layers.tasks)))
    assert len(seen.next_P) == 0
    assert tables.q_M_L_C[:, 2] == pytest.approx(np.array([[0.25] * 3, [1.0] * 3]))
