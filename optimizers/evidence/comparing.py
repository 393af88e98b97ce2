"""Comparing moves: the gains of one action beside those of others, place by place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from controllers.policies.rule import Condition
from optimizers.evidence.reflection import Reflection

LEAST_ROWS: Final = 8
"""Moves on each side of a comparison below which it says nothing."""
HOPELESS: Final = 0.05
"""Share of further attempts that improved anything, below which stopping is proposed."""
ROUNDING: Final = 1e-12
"""Differences and errors below this are none: sums of equal numbers differ by their order."""
CERTAIN: Final = 8.0
"""The statistic of a difference between sides that do not vary."""


def masks_of(
    rows: Sequence[Reflection], conditions: Sequence[Condition]
) -> list[tuple[tuple[Condition, ...], npt.NDArray[np.bool_]]]:
    """Which of the moves fulfil nothing in particular, and which each condition that tells some of them from others."""
    if not rows:
        return []
    masks: list[tuple[tuple[Condition, ...], npt.NDArray[np.bool_]]] = [((), np.ones(len(rows), dtype=bool))]
    values_F_N = {
        name: np.array([row.features.get(name, np.nan) for row in rows], dtype=np.float64)
        for name in {condition.feature for condition in conditions}
    }
    for condition in conditions:
        seen_N = values_F_N[condition.feature]  # NaN where it was not observed: then no condition on it holds
        holds_N = seen_N <= condition.value if condition.op == "<=" else seen_N > condition.value
        if 0 < holds_N.sum() < len(rows):
            masks.append(((condition,), holds_N))
    return masks


class Places:
    """Where moves were made: each kind of `origin` is a place, the search's own tasks one of them."""

    def __init__(self, rows: Sequence[Reflection]) -> None:
        origins = [row.origin for row in rows]
        self.masks_P_N = [np.array([one == origin for one in origins], dtype=bool) for origin in sorted(set(origins))]

    def comparable(
        self, then_N: npt.NDArray[np.bool_], now_N: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Both sides without the places that hold fewer than two moves of either; of one place both as they are."""
        if len(self.masks_P_N) < 2:
            return then_N, now_N
        kept_N = np.zeros(len(then_N), dtype=bool)
        for place_N in self.masks_P_N:
            if (then_N & place_N).sum() > 1 and (now_N & place_N).sum() > 1:
                kept_N |= place_N
        return then_N & kept_N, now_N & kept_N

    def z(self, gains_N: npt.NDArray[np.float64], then_N: npt.NDArray[np.bool_], now_N: npt.NDArray[np.bool_]) -> float:
        """Welch's statistic; of several places that of the mean difference, each weighted by n m / (n + m).

        The weights are Cochran's (1954). Both sides must be comparable.
        """
        pairs = [(gains_N[then_N & place_N], gains_N[now_N & place_N]) for place_N in self.masks_P_N]
        pairs = [(then, now) for then, now in pairs if len(then) and len(now)]
        if len(pairs) == 1:
            return welch_z(*pairs[0])
        weights = [len(a) * len(b) / (len(a) + len(b)) for a, b in pairs]
        variances = [a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b) for a, b in pairs]
        difference = float(sum(w * (a.mean() - b.mean()) for w, (a, b) in zip(weights, pairs, strict=True)))
        error = float(np.sqrt(sum(w * w * v for w, v in zip(weights, variances, strict=True))))
        return _standardised(difference, error)


def welch_z(a_N: npt.NDArray[np.float64], b_N: npt.NDArray[np.float64]) -> float:
    """Welch's statistic of mean(a) - mean(b); where neither side varies, `CERTAIN` times its sign."""
    difference = float(a_N.mean() - b_N.mean())
    error = float(np.sqrt(a_N.var(ddof=1) / len(a_N) + b_N.var(ddof=1) / len(b_N)))
    return _standardised(difference, error)


def _standardised(difference: float, error: float) -> float:
    if abs(difference) < ROUNDING:
        return 0.0
    return difference / error if error > ROUNDING else CERTAIN * float(np.sign(difference))


def where_said(when: Sequence[Condition]) -> str:
    """Conditions in words."""
    return " and ".join(f"{c.feature} {c.op} {c.value:g}" for c in when)
