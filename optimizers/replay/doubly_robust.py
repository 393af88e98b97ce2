"""Sequential doubly robust: a cross-fitted Q model, corrected by what was observed, weighted round by round.

Unbiased where propensities are right, whatever the model; with a good model its variance is that of the values
themselves. Source: Jiang & Li 2016, eq. 10.
"""

from __future__ import annotations

import numpy as np

from optimizers.episode_log import Floats
from optimizers.replay import Asked, Evidence
from optimizers.replay.crossfit import FOLDS, folds
from optimizers.replay.estimates import Estimate, Refusal
from optimizers.replay.kernels import Path
from optimizers.replay.kernels_dr import kernels
from optimizers.replay.layered import Layered
from optimizers.replay.q_answers import Points, Scorer, answers
from optimizers.replay.q_models import QModel, transitions
from optimizers.replay.q_tabular import TabularQ


class DoublyRobust:
    """The mean over episodes of the doubly robust score; the interval from its influence function, by task."""

    id = "dr"

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

        def score(policy_L_C: Floats) -> Points:
            M, T, C = len(layers.rewards_M_N_K), len(layers.tasks), policy_L_C.shape[1]
            run = kernels(self._path, work=layers.n * C * M)
            scores_M_T_C = np.zeros((M, T, C))
            for fold in folds(seen, model, policy_L_C, count=self._folds):
                for m, (logged, models) in enumerate(zip(fold.logged_M, fold.models_M, strict=True)):
                    scores_M_T_C[m, fold.tasks] = run.dr_sums(logged, models)
            return points_of(scores_M_T_C, np.diff(layers.start_T))

        return score


def points_of(scores_M_T_C: Floats, episodes_T: Floats | np.ndarray[tuple[int], np.dtype[np.int64]]) -> Points:
    """Means over episodes of scores that are summed by task, and their standard errors clustered by task.

    The error is sqrt(T / (T - 1) x sum over tasks of (sum of score - mean)^2) / N; NaN below two tasks.
    Source: Liang & Zeger 1986, with the small-sample factor of Cameron & Miller 2015.
    """
    n, T = float(episodes_T.sum()), len(episodes_T)
    mean_M_C = scores_M_T_C.sum(axis=1) / n
    spread_M_C = ((scores_M_T_C - episodes_T[:, None] * mean_M_C[:, None]) ** 2).sum(axis=1)
    error_M_C = np.sqrt(spread_M_C * T / (T - 1)) / n if T > 1 else np.full_like(mean_M_C, np.nan)
    return Points(mean_M_C, error_M_C)
