"""Rows: sorted, complete, and the same weights whichever way propensities are written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizers.episode_log import Floats, Target
from optimizers.replay.rows import Rows, gap_of, rows_of, table_of, usable
from signatures.errors import UsageError
from tests.worlds.enumerated import BEHAVIOUR_L, enumerated, noisy, policies

ALL = slice(None)


def test_episodes_of_a_task_are_neighbours_and_keep_their_order() -> None:
    log = noisy(0)
    rows = rows_of(log)
    task_N = log.task_N[rows.order_N]
    assert (np.diff(task_N) >= 0).all()
    assert list(rows.start_T) == [0, *(np.flatnonzero(np.diff(task_N)) + 1), log.n]
    assert all((np.diff(rows.order_N[a:b]) > 0).all() for a, b in zip(rows.start_T[:-1], rows.start_T[1:], strict=True))
    assert np.allclose(rows.values_N_M, log.values_N_M[rows.order_N], atol=1e-12)


def test_tasks_without_episodes_take_no_place() -> None:
    log = noisy(1)
    some = log.take(log.task_N != 3)
    assert len(rows_of(some).start_T) - 1 == len(log.tasks) - 1
    assert list(rows_of(log.take(np.zeros(0, dtype=np.int64))).start_T) == [0]


def test_an_episode_with_a_missing_propensity_is_not_among_them() -> None:
    log = noisy(2)
    propensity_N_K = log.propensity_N_K.copy()
    propensity_N_K[[3, 5], 0] = np.nan, 0.0
    torn = replace(log, propensity_N_K=propensity_N_K)
    assert np.argwhere(~usable(torn)).tolist() == [[3, 0], [5, 0]]
    assert sorted(rows_of(torn).order_N) == [n for n in range(log.n) if n not in (3, 5)]


def test_propensities_of_their_own_give_the_same_weights_as_the_behaviour() -> None:
    log, target = noisy(3), policies(3)
    shared = rows_of(log)
    live = log.option_N_K >= 0
    own = rows_of(replace(log, propensity_N_K=np.where(live, log.propensity_N_K * (1 + 1e-11), 1.0)))
    assert (shared.scale_N_K == 1).all() and (own.divisor_L == 1).all()

    def weights(rows: Rows) -> Floats:
        padded = np.concatenate([table_of(rows, target, ALL), np.ones((1, 5))])
        return padded[rows.option_N_K].prod(axis=1) * rows.scale_N[:, None]

    assert np.allclose(weights(shared), weights(own), rtol=1e-9)


def test_nothing_is_divided_by_a_behaviour_of_zero() -> None:
    log = replace(enumerated(), behaviour_L=np.array([0.25, 0.75, 0.5, 0.25, 0.0]))
    some = log.take((log.option_N_K != 4).all(axis=1))
    table = table_of(rows_of(some), policies(0), ALL)
    assert np.isfinite(table).all() and (table[4] == 0).all()


def test_the_gap_is_what_was_never_recorded_and_what_lacks_to_one() -> None:
    log = replace(enumerated(), behaviour_L=np.array([0.25, 0.75, 0.5, 0.5, 0.0]))
    probability_L_C = np.array([[0.5, 0.5, 0.2, 0.3, 0.5], [0.5, 0.4, 0.2, 0.8, 0.0]]).T
    gap_L_C = gap_of(log, Target(("a", "b"), probability_L_C), ALL)
    assert np.allclose(gap_L_C.T, [[0, 0, 0.5, 0.5, 0.5], [0.1, 0.1, 0, 0, 0]])


@pytest.mark.parametrize("wrong", [-0.1, np.nan, 0.9])
def test_what_is_no_probability_is_the_callers_mistake(wrong: float) -> None:
    probability_L_C = BEHAVIOUR_L[:, None].copy()
    probability_L_C[0, 0] = wrong
    with pytest.raises(UsageError, match="probabilit"):
        gap_of(enumerated(), Target(("c",), probability_L_C), ALL)


def test_a_target_of_another_log_is_the_callers_mistake() -> None:
    with pytest.raises(UsageError, match="4 options for a log of 5"):
        gap_of(enumerated(), Target(("c",), np.full((4, 1), 0.25)), ALL)
