"""From rows of numbers to a predicted value: what is fitted, and predictions of tasks that the fit never saw.

A linear model and boosted trees are fitted side by side and averaged: the first carries over to options that were
never drawn, the second finds that an option is good in one state and bad in another. Where every outcome is 0 or 1
both are classifiers, and their average is calibrated by isotonic regression on held-out tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from optimizers.episode_log import Floats, Integers

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

Kind = Literal["classifier", "regressor"]

FOLDS: Final = 5
"""Parts of the tasks of which each in turn is predicted from the others."""
INNER_FOLDS: Final = 3
"""Parts of a fit's own tasks of which each in turn calibrates the others' model."""
TREES: Final = {
    "max_iter": 30,
    "max_leaf_nodes": 8,
    "learning_rate": 0.2,
    "max_bins": 32,
    "early_stopping": False,
}
"""Of scikit-learn's histogram gradient boosting."""
C: Final = 1.0
"""Inverse penalty of the logistic regression."""
ALPHA: Final = 10.0
"""Penalty of the ridge regression."""
METHOD: Final = "isotonic"
"""How a classifier is calibrated."""
SETTINGS: Final = (FOLDS, INNER_FOLDS, TREES, C, ALPHA, METHOD)
"""What a fit depends on beside its rows and seed."""
_SETTLED: Final = 1e-9


@dataclass(frozen=True)
class Rows:
    """What one objective is learned from."""

    columns_N_D: Floats
    outcome_N: Floats
    task_N: Integers
    seed: int

    @property
    def kind(self) -> Kind:
        """A classifier where every outcome is 0 or 1."""
        settled = np.minimum(np.abs(self.outcome_N), np.abs(self.outcome_N - 1)) < _SETTLED
        return "classifier" if settled.all() else "regressor"

    def take(self, rows: npt.NDArray[np.bool_]) -> Rows:
        """The rows of a mask."""
        return Rows(self.columns_N_D[rows], self.outcome_N[rows], self.task_N[rows], self.seed)


@dataclass(frozen=True)
class Learner:
    """One fitted model of one objective; without an estimator it says the mean of what it was fitted to."""

    mean: float
    kind: Kind
    estimator: BaseEstimator | None = None

    def predict(self, columns_N_D: Floats) -> Floats:
        """The predicted value of each row, on [0, 1]."""
        if self.estimator is None or not len(columns_N_D):
            return np.full(len(columns_N_D), self.mean)
        with one_thread():
            if self.kind == "classifier":
                predicted_N = self.estimator.predict_proba(columns_N_D)[:, 1]
            else:
                predicted_N = self.estimator.predict(columns_N_D)
        clipped_N: Floats = np.clip(predicted_N, 0.0, 1.0)
        return clipped_N


def learn(rows: Rows, kind: Kind) -> Learner:
    """Fit one objective. Outcomes that do not vary are learned as their mean."""
    mean = float(rows.outcome_N.mean())
    if np.ptp(rows.outcome_N) < _SETTLED or not rows.columns_N_D.shape[1]:
        return Learner(mean, kind)
    with one_thread():
        if kind == "regressor":
            return Learner(mean, kind, _regressor(rows.seed).fit(rows.columns_N_D, rows.outcome_N))
        passed_N = (rows.outcome_N > 0.5).astype(np.int64)
        return Learner(mean, kind, _classifier(rows, passed_N).fit(rows.columns_N_D, passed_N))


def out_of_fold(rows: Rows) -> tuple[Floats, Floats]:
    """For each row the prediction of a model, and the mean outcome, of the episodes of other tasks: `N` and `N`."""
    fold_N = task_folds(rows, FOLDS)
    predicted_N, base_N = np.empty(len(fold_N)), np.empty(len(fold_N))
    for fold in range(FOLDS):
        held_N = fold_N == fold
        if held_N.any():
            learner = learn(rows.take(~held_N), rows.kind)
            predicted_N[held_N] = learner.predict(rows.columns_N_D[held_N])
            base_N[held_N] = learner.mean
    return predicted_N, base_N


def task_folds(rows: Rows, folds: int) -> Integers:
    """The fold of each row. A task is in one fold; folds get tasks of low and high mean outcome alike, by the seed."""
    tasks_T, place_N, count_T = np.unique(rows.task_N, return_inverse=True, return_counts=True)
    mean_T = np.bincount(place_N, weights=rows.outcome_N) / count_T
    tie_T = np.random.default_rng(rows.seed).permutation(len(tasks_T))
    fold_T = np.empty(len(tasks_T), np.int32)
    fold_T[np.lexsort((tie_T, mean_T))] = np.arange(len(tasks_T)) % folds
    fold_N: Integers = fold_T[place_N]
    return fold_N


@contextmanager
def one_thread() -> Iterator[None]:
    """No threads of OpenMP and BLAS: sums keep their order, and other work on the machine is not waited for."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn brings it, untyped

    with threadpool_limits(limits=1):
        yield


def _classifier(rows: Rows, passed_N: npt.NDArray[np.int64]) -> BaseEstimator:
    """The average of both models, calibrated where each part of the tasks holds passes and failures."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    trees = HistGradientBoostingClassifier(**TREES, random_state=rows.seed % 2**32)
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=C, solver="newton-cholesky"))
    both = VotingClassifier([("trees", trees), ("linear", linear)], voting="soft")
    fold_N = task_folds(rows, INNER_FOLDS)
    parts = [(np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)) for fold in range(INNER_FOLDS)]
    if any(len(set(passed_N[side].tolist())) < 2 for part in parts for side in part):
        return both
    return CalibratedClassifierCV(both, method=METHOD, cv=parts, ensemble=True)


def _regressor(seed: int) -> BaseEstimator:
    from sklearn.ensemble import HistGradientBoostingRegressor, VotingRegressor
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    trees = HistGradientBoostingRegressor(**TREES, random_state=seed % 2**32)
    return VotingRegressor([("trees", trees), ("linear", make_pipeline(StandardScaler(), Ridge(ALPHA)))])
