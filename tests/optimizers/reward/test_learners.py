"""What is fitted: folds by task, values on [0, 1], and nothing that a library has to warn of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.reward.calibration import rank_correlation
from optimizers.reward.learners import FOLDS, Rows, learn, out_of_fold, task_folds


def rows_of(n: int, tasks: int, outcome: str, seed: int = 0) -> Rows:
    """Rows of two columns; the first decides the outcome."""
    rng = np.random.default_rng(seed)
    columns = rng.random((n, 2))
    outcomes = {
        "coin": (rng.random(n) < columns[:, 0]).astype(float),
        "value": np.clip(columns[:, 0] + rng.normal(0, 0.1, n), 0, 1),
        "passed": np.ones(n),
    }
    return Rows(columns, outcomes[outcome], (np.arange(n) % tasks).astype(np.int32), seed)


@given(st.integers(5, 40), st.integers(1, 60), st.integers(0, 2**40))
def test_a_task_is_in_one_fold_and_folds_have_as_many_tasks(tasks: int, n: int, seed: int) -> None:
    rows = rows_of(tasks + n, tasks, "coin", seed)
    fold_N = task_folds(rows, FOLDS)
    folds = {task: set(fold_N[rows.task_N == task].tolist()) for task in range(tasks)}
    assert all(len(found) == 1 for found in folds.values())
    counts = np.bincount([found.pop() for found in folds.values()], minlength=FOLDS)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(
    ("outcome", "kind"), [("coin", "classifier"), ("passed", "classifier"), ("value", "regressor")]
)
def test_pass_and_fail_make_a_classifier(outcome: str, kind: str) -> None:
    assert rows_of(20, 5, outcome).kind == kind


@pytest.mark.parametrize("outcome", ["coin", "value"])
def test_what_decides_is_found_on_tasks_that_were_not_seen(outcome: str) -> None:
    rows = rows_of(1_000, 50, outcome)
    predicted_N, base_N = out_of_fold(rows)
    truth_N = rows.columns_N_D[:, 0]
    assert (rank_correlation(predicted_N, truth_N) or 0) > 0.9
    assert np.ptp(base_N) < 0.1


@settings(max_examples=5, deadline=None)
@given(st.sampled_from(["coin", "value"]), st.integers(0, 1_000))
def test_predictions_are_on_the_unit_interval_beyond_what_was_seen_too(outcome: str, seed: int) -> None:
    rows = rows_of(200, 10, outcome, seed)
    far = np.array([[-50.0, 0.0], [50.0, 0.0], [0.5, -1e6]])
    predicted = learn(rows, rows.kind).predict(far)
    assert ((predicted >= 0) & (predicted <= 1)).all()


def test_the_same_rows_make_the_same_predictions() -> None:
    rows = rows_of(150, 15, "coin")
    assert np.array_equal(out_of_fold(rows)[0], out_of_fold(rows)[0])


def test_outcomes_that_do_not_vary_are_their_mean() -> None:
    rows = rows_of(30, 6, "passed")
    assert out_of_fold(rows)[0].tolist() == [1.0] * 30
    assert learn(rows, rows.kind).estimator is None


def test_a_single_pass_is_learned_without_calibration() -> None:
    """No part of the tasks but one holds a pass, so none of the others could be calibrated on it."""
    rows = rows_of(60, 6, "passed")
    outcome_N = np.zeros(60)
    outcome_N[3] = 1.0
    rare = Rows(rows.columns_N_D, outcome_N, rows.task_N, 0)
    predicted_N, _ = out_of_fold(rare)
    assert ((predicted_N >= 0) & (predicted_N <= 1)).all()
    assert learn(rare, rare.kind).predict(rows.columns_N_D).mean() < 0.2


def test_rows_without_columns_are_learned_as_their_mean() -> None:
    rows = rows_of(40, 8, "coin")
    blank = Rows(np.empty((40, 0)), rows.outcome_N, rows.task_N, 0)
    assert learn(blank, blank.kind).predict(np.empty((2, 0))).tolist() == [rows.outcome_N.mean()] * 2
