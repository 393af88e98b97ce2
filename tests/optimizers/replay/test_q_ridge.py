"""Ridge against scikit-learn, against what is linear, and where little or nothing was drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizers.replay.layered import layered
from optimizers.replay.q_models import transitions
from optimizers.replay.q_ridge import PreparedRidge, RidgeQ
from signatures.errors import UsageError
from tests.worlds.quarters import CANDIDATES_L_C, quarters, truth_q_M_L_C

LAST = 1


def prepared(penalty: float = 1.0) -> PreparedRidge:
    return RidgeQ(penalty).prepare(layered(quarters()))


def test_it_is_the_ridge_of_scikit_learn() -> None:
    from sklearn.linear_model import Ridge

    # by hand: one-hots of done and refine; failing is 3 or 1, standardised over visits; their products
    log = quarters()
    visits = np.bincount(log.state_L[log.option_N_K[:, 1]][log.option_N_K[:, 1] >= 0])[1:]
    failing = np.array([3.0, 1.0])
    mean = (visits * failing).sum() / visits.sum()
    scaled = (failing - mean) / np.sqrt((visits * (failing - mean) ** 2).sum() / visits.sum())
    done, seen = np.array([1.0, 0.0, 1.0, 0.0]), np.repeat(scaled, 2)
    columns = np.column_stack([done, 1 - done, seen, seen * done, seen * (1 - done)])
    count_L, sums_L_X = np.array([9.0, 4.0, 2.0, 6.0]), np.array([[5.0, 1], [1, 0], [2, 1], [3, 4]])
    expected = Ridge(alpha=2.0).fit(columns, sums_L_X / count_L[:, None], sample_weight=count_L).predict(columns)
    assert prepared(2.0).smoother(LAST, count_L)(sums_L_X) == pytest.approx(expected, abs=1e-8)


def test_with_hardly_a_penalty_it_finds_the_truth_of_an_exact_log() -> None:
    layers = layered(quarters())
    tables = transitions(layers).fitted(RidgeQ(1e-7).prepare(layers), CANDIDATES_L_C, np.ones(16))
    assert tables.q_M_L_C == pytest.approx(truth_q_M_L_C(), abs=1e-6)


def test_states_lend_each_other_what_they_showed() -> None:
    # done is worth .2 in state 1 and .8 in state 2; refine, never drawn in state 2, .2 in state 1
    count_L, sums_L_1 = np.array([20.0, 20.0, 20.0, 0.0]), np.array([[4.0], [4.0], [16.0], [0.0]])
    q_L = prepared(0.1).smoother(LAST, count_L)(sums_L_1)[:, 0]
    assert q_L[:3] == pytest.approx([0.2, 0.2, 0.8], abs=0.01)
    assert q_L[3] > 0.5


def test_a_layer_never_reached_expects_nothing() -> None:
    assert prepared().smoother(LAST, np.zeros(4))(np.zeros((4, 2))).tolist() == [[0.0, 0.0]] * 4


def test_a_feature_missing_in_some_states_counts_zero_beside_an_indicator() -> None:
    log = quarters()
    features_S_F = np.array([[0.0, np.nan], [1.0, np.nan], [1.0, 5.0]])
    layers = layered(replace(log, features_S_F=features_S_F))
    tables = transitions(layers).fitted(RidgeQ(1e-7).prepare(layers), CANDIDATES_L_C, np.ones(16))
    # the indicator alone tells the two states apart
    assert tables.q_M_L_C == pytest.approx(truth_q_M_L_C(), abs=1e-6)


def test_huge_and_constant_features_do_no_harm() -> None:
    log = quarters()
    features_S_F = np.array([[1e12, np.nan], [1e12, 1e9], [1e12, 1e9 + 1]])
    layers = layered(replace(log, features_S_F=features_S_F))
    tables = transitions(layers).fitted(RidgeQ().prepare(layers), CANDIDATES_L_C, np.ones(16))
    assert np.isfinite(tables.q_M_L_C).all()
    assert np.abs(tables.q_M_L_C - truth_q_M_L_C()).max() < 0.2


def test_a_penalty_is_positive() -> None:
    with pytest.raises(UsageError, match="penalty"):
        RidgeQ(0.0)
    assert RidgeQ().id == "ridge"
