"""Tabular Q: the mean of each option's targets, pulled towards its action's mean where it was seldom drawn.

An option drawn n times counts its own mean n times and its action's mean `shrink` times; the action's mean is pulled
in the same way towards the layer's. So an option that was never drawn gets its action's mean, an action never drawn
the layer's, and 0 stands where the layer was never reached. Source: the shrunken means of empirical Bayes, Morris
1983, with a fixed instead of a fitted strength.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizers.episode_log import Floats
from optimizers.replay.layered import Layered
from optimizers.replay.q_models import Smoother
from signatures.errors import UsageError


@dataclass(frozen=True)
class TabularQ:
    """A table with a row per option. Raises UsageError where `shrink` is negative."""

    shrink: float = 1.0
    "draws that the mean one level up counts for"

    def __post_init__(self) -> None:
        if not self.shrink >= 0:
            raise UsageError(f"shrink={self.shrink}: draws cannot be negative")

    @property
    def id(self) -> str:
        """As in `QModel`."""
        return "tabular"

    def prepare(self, layers: Layered) -> PreparedTable:
        """As in `QModel`."""
        return PreparedTable(self.shrink, layers)


class PreparedTable:
    """Which options of a layer share an action."""

    def __init__(self, shrink: float, layers: Layered) -> None:
        self._shrink = shrink
        self._same = []
        for options, _ in layers.layers:
            actions, action_L = np.unique(layers.action_L[options], return_inverse=True)
            self._same.append((np.arange(len(actions))[:, None] == action_L).astype(np.float64))

    def smoother(self, layer: int, count_L: Floats) -> Smoother:
        """As in `Prepared`."""
        same_A_L, shrink = self._same[layer], self._shrink
        count_A = same_A_L @ count_L

        def smooth(sums_L_X: Floats) -> Floats:
            sums_A_X = same_A_L @ sums_L_X
            mean_X = sums_A_X.sum(axis=0) / max(count_A.sum(), 1e-300)
            mean_A_X = _shrunk(sums_A_X, count_A, mean_X, shrink)
            return _shrunk(sums_L_X, count_L, mean_A_X[same_A_L.argmax(axis=0)], shrink)

        return smooth


def _shrunk(sums_J_X: Floats, count_J: Floats, prior: Floats, shrink: float) -> Floats:
    """(sum + shrink x prior) / (count + shrink); the prior alone where both are 0."""
    weight_J_1 = np.where(count_J + shrink > 0, count_J + shrink, 1.0)[:, None]
    pull_J_1 = np.where(count_J + shrink > 0, shrink, 1.0)[:, None]
    found: Floats = (sums_J_X + pull_J_1 * prior) / weight_J_1
    return found
