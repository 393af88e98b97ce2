"""Weighted doubly robust: as doubly robust, with the weights of each round normalised to sum to one over episodes.

A little biased and often less variable where weights are uneven. An episode that has ended keeps its last weight in
the sum of later rounds. Source: Thomas & Brunskill 2016, section 5.
"""

from __future__ import annotations

import numpy as np

from optimizers.episode_log import Floats
from optimizers.replay import Asked, Evidence
from optimizers.replay.crossfit import FOLDS, folds
from optimizers.replay.estimates import Estimate, Refusal
from optimizers.replay.kernels import Path, Starts
from optimizers.replay.kernels_dr import RoundSums, kernels
from optimizers.replay.layered import Layered
from optimizers.replay.q_answers import Points, Scorer, answers
from optimizers.replay.q_models import QModel, transitions
from optimizers.replay.q_tabular import TabularQ


class WeightedDoublyRobust:
    """A sum over rounds of ratios of sums; the interval from its linearisation, by task."""

    id = "wdr"

    def __init__(self, model: QModel | None = None, *, fold_count: int = FOLDS, path: Path = "auto") -> None:
        self._model = model or TabularQ()
        self._folds = fold_count
        self._path = path

    async def estimate(self, evidence: Evidence, asked: Asked) -> list[Estimate | Refusal]:
        """As in `Estimator`."""
        return answers(self.id, evidence, asked, self._scorer)

    def _scorer(self, layers: Layered) -> Scorer:
        seen = transitions(layers)
        model = self._model.prepare(layers)
        episodes_T = np.diff(layers.start_T)

        def score(policy_L_C: Floats) -> Points:
            M, T, C = len(layers.rewards_M_N_K), len(layers.tasks), policy_L_C.shape[1]
            run = kernels(self._path, work=layers.n * C * M)
            fitted = list(folds(seen, model, policy_L_C, count=self._folds))
            points = []
            # one objective at a time: with many tasks its sums are the largest arrays of all
            for m in range(M):
                sums = RoundSums(*np.zeros((3, T, layers.option_N_K.shape[1], C)))
                for fold in fitted:
                    found = run.wdr_sums(fold.logged_M[m], fold.models_M[m])
                    for whole_T_K_C, part_T_K_C in zip(sums, found, strict=True):
                        whole_T_K_C[fold.tasks] = part_T_K_C
                points.append(points_of(sums, episodes_T))
            return Points(np.stack([point for point, _ in points]), np.stack([error for _, error in points]))

        return score


def points_of(sums: RoundSums, episodes_T: Starts) -> tuple[Floats, Floats]:
    """Values and standard errors, `C` each, of one objective.

    With W_k, R_k, V_k the sums of weights, residuals and values over all episodes, and W_(-1) = N, the value is
    sum over k of R_k / W_k + V_k / W_(k-1). A task's influence, by differentiating each ratio, is
    sum over k of (r_k - w_k R_k / W_k) / W_k + (v_k - w_(k-1) V_k / W_(k-1)) / W_(k-1), small letters its own sums;
    influences sum to 0, and the error is sqrt(T / (T - 1) x their sum of squares), NaN below two tasks. A round that
    no weight reaches adds nothing. Source of the linearisation: Woodruff 1971.
    """
    start_T_1_C = np.broadcast_to(episodes_T[:, None, None], (len(episodes_T), 1, sums.weight_T_K_C.shape[2]))
    before_T_K_C = np.concatenate([start_T_1_C, sums.weight_T_K_C[:, :-1]], axis=1)
    residual_C, residual_T_C = _ratio(sums.residual_T_K_C, sums.weight_T_K_C)
    value_C, value_T_C = _ratio(sums.value_T_K_C, before_T_K_C)
    influence_T_C, T = residual_T_C + value_T_C, len(episodes_T)
    point_C = residual_C + value_C
    if T < 2:
        return point_C, np.full_like(point_C, np.nan)
    error_C: Floats = np.sqrt((influence_T_C**2).sum(axis=0) * T / (T - 1))
    return point_C, error_C


def _ratio(part_T_K_C: Floats, weight_T_K_C: Floats) -> tuple[Floats, Floats]:
    """The sum over rounds of (sum of parts) / (sum of weights), and each task's influence on it."""
    whole_K_C = weight_T_K_C.sum(axis=0)
    safe_K_C = np.where(whole_K_C > 0, whole_K_C, 1.0)
    ratio_K_C = part_T_K_C.sum(axis=0) / safe_K_C
    influence_T_C: Floats = ((part_T_K_C - weight_T_K_C * ratio_K_C) / safe_K_C).sum(axis=1)
    point_C: Floats = ratio_K_C.sum(axis=0)
    return point_C, influence_T_C
