"""Ridge Q: a linear model of what was seen, its own in each layer, so that states lend each other what they showed.

Columns: 1; a one-hot of the action; each feature of the state, standardised over the layer's rounds, a feature not
observed counting 0 beside an indicator of that; and each of these features times each action's one-hot. Columns that
never differ in a layer are left out. All but the constant are penalised alike. Source: Hoerl & Kennard 1970.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizers.episode_log import Floats
from optimizers.replay.layered import Layered
from optimizers.replay.q_models import Smoother
from signatures.errors import UsageError

_FREE = 1e-8
"""Penalty of the constant: none, but enough for a layer without a draw to have a solution, 0."""


@dataclass(frozen=True)
class RidgeQ:
    """A linear model per layer. Raises UsageError where `penalty` is not positive."""

    penalty: float = 1.0
    "in draws: added to each column's sum of squares"

    def __post_init__(self) -> None:
        if not self.penalty > 0:
            raise UsageError(f"penalty={self.penalty}: a ridge is positive")

    @property
    def id(self) -> str:
        """As in `QModel`."""
        return "ridge"

    def prepare(self, layers: Layered) -> PreparedRidge:
        """As in `QModel`."""
        return PreparedRidge(self.penalty, layers)


class PreparedRidge:
    """The columns of each layer."""

    def __init__(self, penalty: float, layers: Layered) -> None:
        self._penalty = penalty
        live = layers.state_N_K[layers.state_N_K >= 0]
        visits_S = np.bincount(live, minlength=len(layers.first_S)).astype(np.float64)
        self._columns = []
        for options, states in layers.layers:
            seen_S_F = _standardised(layers.features_S_F[states], visits_S[states])
            seen_L_F = seen_S_F[layers.state_L[options] - states.start]
            self._columns.append(_columns(seen_L_F, layers.action_L[options]))

    def smoother(self, layer: int, count_L: Floats) -> Smoother:
        """As in `Prepared`."""
        from scipy.linalg import cho_factor, cho_solve

        columns_L_D = self._columns[layer]
        penalty_D = np.full(columns_L_D.shape[1], self._penalty)
        penalty_D[0] = _FREE
        factor = cho_factor(columns_L_D.T @ (columns_L_D * count_L[:, None]) + np.diag(penalty_D))

        def smooth(sums_L_X: Floats) -> Floats:
            found: Floats = columns_L_D @ cho_solve(factor, columns_L_D.T @ sums_L_X)
            return found

        return smooth


def _standardised(features_S_F: Floats, visits_S: Floats) -> Floats:
    """Mean 0 and deviation 1 over visits, then an indicator per feature that is missing somewhere."""
    missing_S_F = np.isnan(features_S_F)
    weight_S_F = np.where(missing_S_F, 0.0, visits_S[:, None])
    total_F = np.maximum(weight_S_F.sum(axis=0), 1.0)
    filled_S_F = np.where(missing_S_F, 0.0, features_S_F)
    centred_S_F = np.where(missing_S_F, 0.0, filled_S_F - (weight_S_F * filled_S_F).sum(axis=0) / total_F)
    deviation_F = np.sqrt((weight_S_F * centred_S_F**2).sum(axis=0) / total_F)
    # what is constant up to rounding must not be blown up
    spread_F = deviation_F > 1e-12 * (1.0 + np.abs(filled_S_F).max(axis=0))
    scaled_S_F = centred_S_F[:, spread_F] / deviation_F[spread_F]
    partly_F = missing_S_F.any(axis=0) & ~missing_S_F.all(axis=0)
    return np.concatenate([scaled_S_F, missing_S_F[:, partly_F].astype(np.float64)], axis=1)


def _columns(seen_L_F: Floats, action_L: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Floats:
    one_hot_L_A = (action_L[:, None] == np.unique(action_L)).astype(np.float64)
    if one_hot_L_A.shape[1] == 1:
        one_hot_L_A = one_hot_L_A[:, :0]
    crossed_L_AF = (one_hot_L_A[:, :, None] * seen_L_F[:, None, :]).reshape(len(seen_L_F), -1)
    return np.concatenate([np.ones((len(seen_L_F), 1)), one_hot_L_A, seen_L_F, crossed_L_AF], axis=1)
