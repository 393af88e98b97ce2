"""Fitted Q evaluation: the value of a candidate is what its Q model expects at the first state of the episodes.

It reads no propensity beyond support, and ranks well; but what the model gets wrong (few draws pulled together, a
state that hides what matters) is bias that no interval of it shows. The interval resamples tasks, refits, and takes
the spread of the values for the standard error: it is about sampling alone.
Sources: Le, Voloshin & Yue 2019, algorithm 1; Hao et al. 2021 for the bootstrap of refits.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from optimizers.episode_log import Floats
from optimizers.replay import Asked, Evidence
from optimizers.replay.estimates import Estimate, Refusal
from optimizers.replay.layered import Layered
from optimizers.replay.q_answers import Points, Scorer, answers
from optimizers.replay.q_models import QModel, Tables, transitions
from signatures.digest import seed_of
from signatures.errors import UsageError

RESAMPLES: Final = 100


class FittedQ:
    """`FittedQ(TabularQ())` or `FittedQ(RidgeQ())`: the id is `fqe-tabular` or `fqe-ridge`.

    Raises UsageError where `resamples` is below 2.
    """

    def __init__(self, model: QModel, *, resamples: int = RESAMPLES, seed: int = 0) -> None:
        if resamples < 2:
            raise UsageError(f"resamples={resamples}: a spread needs two")
        self._model = model
        self._resamples = resamples
        self._seed = seed

    @property
    def id(self) -> str:
        """As in `Estimator`."""
        return f"fqe-{self._model.id}"

    async def estimate(self, evidence: Evidence, asked: Asked) -> list[Estimate | Refusal]:
        """As in `Estimator`."""
        return answers(self.id, evidence, asked, self._scorer)

    def _scorer(self, layers: Layered) -> Scorer:
        seen = transitions(layers)
        model = self._model.prepare(layers)
        T = len(layers.tasks)
        starts = _starts(layers)
        # tasks stand in the order of their digests, so each gets the same draws however the log is arranged
        drawn_B_T = np.random.default_rng(seed_of("fqe", self._seed)).multinomial(T, np.full(T, 1 / T), self._resamples)

        def value(policy_L_C: Floats, weight_T: npt.NDArray[np.int64]) -> Floats:
            return starts.value(seen.fitted(model, policy_L_C, weight_T), weight_T)

        def score(policy_L_C: Floats) -> Points:
            point_M_C = value(policy_L_C, np.ones(T, np.int64))
            if T < 2:
                return Points(point_M_C, np.full_like(point_M_C, np.nan))
            redone_B_M_C = np.stack([value(policy_L_C, weight_T) for weight_T in drawn_B_T])
            return Points(point_M_C, redone_B_M_C.std(axis=0, ddof=1))

        return score


class _Starts(NamedTuple):
    """Episodes of each task that began in each state that any began in; an episode without a round began in -1."""

    state_J: npt.NDArray[np.int32]
    count_T_J: Floats

    def value(self, tables: Tables, weight_T: npt.NDArray[np.int64]) -> Floats:
        """V at the first states, averaged over weighted episodes: `M x C`. Without a round there is no reward."""
        count_J = weight_T @ self.count_T_J
        began = self.state_J >= 0
        found: Floats = count_J[began] @ tables.v_M_S_C[:, self.state_J[began]] / count_J.sum()
        return found


def _starts(layers: Layered) -> _Starts:
    state_J, place_N = np.unique(layers.state_N_K[:, 0], return_inverse=True)
    T, J = len(layers.tasks), len(state_J)
    task_N = np.repeat(np.arange(T), np.diff(layers.start_T))
    count_TJ = np.bincount(task_N * J + place_N, minlength=T * J).astype(np.float64)
    return _Starts(state_J, count_TJ.reshape(T, J))
