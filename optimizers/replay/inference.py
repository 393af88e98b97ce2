"""From sums per task to values and 95 % intervals: the task is the unit, whatever the number of its episodes."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np

from optimizers.episode_log import Floats

Method = Literal["influence", "bootstrap"]

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 1_000
NO_SPREAD: Final = 1e-12
"""A standard error below this is rounding: every task showed the same value."""


class Intervals(NamedTuple):
    """Values of C candidates on M objectives, not clipped to [0, 1]; both ends are NaN below two tasks."""

    value_M_C: Floats
    lo_M_C: Floats
    hi_M_C: Floats


def ratio_intervals(reward_T_K_M_C: Floats, weight_T_K_C: Floats, *, method: Method = "influence") -> Intervals:
    """The sum over K of (sum of rewards over tasks) / (sum of weights over tasks), with a 95 % interval.

    K = 1 is a plain ratio; weight_T_K_C may broadcast over candidates. A ratio of nothing to nothing counts 0.
    influence: each task's linear part of the ratios, t quantile with T - 1 degrees of freedom. bootstrap: the
    percentiles over RESAMPLES draws of T tasks, the same draws at every call. Where all tasks show one value, the
    interval holds what less than one task in that many could hide. Sources: Davison & Hinkley 1997, sections 2.7.2
    and 5.3; Owen 2013, section 9.2 (self-normalised weights).
    """
    weight_K_C, reward_K_M_C = weight_T_K_C.sum(axis=0), reward_T_K_M_C.sum(axis=0)
    safe_K_1_C = np.where(weight_K_C > 0, weight_K_C, 1.0)[:, None]
    part_K_M_C = np.where(weight_K_C[:, None] > 0, reward_K_M_C / safe_K_1_C, 0.0)
    value_M_C = part_K_M_C.sum(axis=0)
    T = len(reward_T_K_M_C)
    if T < 2:
        return Intervals(value_M_C, np.full_like(value_M_C, np.nan), np.full_like(value_M_C, np.nan))
    influence_T_M_C = np.zeros((T, *value_M_C.shape))
    for k in range(len(part_K_M_C)):
        influence_T_M_C += (reward_T_K_M_C[:, k] - part_K_M_C[k] * weight_T_K_C[:, k, None]) / safe_K_1_C[k]
    error_M_C = np.sqrt((influence_T_M_C**2).sum(axis=0) * T / (T - 1))
    if method == "bootstrap":
        lo_M_C, hi_M_C = _percentiles(reward_T_K_M_C, weight_T_K_C)
    else:
        half_M_C = _t_quantile(T - 1) * error_M_C
        lo_M_C, hi_M_C = value_M_C - half_M_C, value_M_C + half_M_C
    hidden_1_C = _hidden(weight_T_K_C[:, -1])[None]
    same_M_C = error_M_C <= NO_SPREAD
    least_M_C = (1 - hidden_1_C) * value_M_C
    return Intervals(
        value_M_C, np.where(same_M_C, least_M_C, lo_M_C), np.where(same_M_C, least_M_C + hidden_1_C, hi_M_C)
    )


def _t_quantile(degrees: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + CONFIDENCE / 2))


def _hidden(weight_T_C: Floats) -> Floats:
    """The largest share of other tasks that would show none of them 5 % of the time: 1 - .05^(1/T), T by weight."""
    square_C = (weight_T_C**2).sum(axis=0)
    tasks_C = np.where(square_C > 0, weight_T_C.sum(axis=0) ** 2 / np.where(square_C > 0, square_C, 1.0), 0.0)
    share_C: Floats = 1.0 - (1 - CONFIDENCE) ** (1.0 / np.maximum(tasks_C, 1.0))
    return share_C


def _percentiles(reward_T_K_M_C: Floats, weight_T_K_C: Floats) -> tuple[Floats, Floats]:
    """The 2.5 and 97.5 percentiles of the value over resampled tasks; a task is drawn with all its episodes."""
    T, K, M, C = reward_T_K_M_C.shape
    drawn_B_T = np.random.default_rng(0).multinomial(T, np.full(T, 1 / T), size=RESAMPLES).astype(np.float64)
    value_B_M_C = np.zeros((RESAMPLES, M, C))
    for k in range(K):
        reward = (drawn_B_T @ reward_T_K_M_C[:, k].reshape(T, M * C)).reshape(RESAMPLES, M, C)
        weight = (drawn_B_T @ weight_T_K_C[:, k])[:, None]
        value_B_M_C += np.where(weight > 0, reward / np.where(weight > 0, weight, 1.0), 0.0)
    tail = 50 * (1 - CONFIDENCE)
    lo_M_C, hi_M_C = np.percentile(value_B_M_C, [tail, 100 - tail], axis=0)
    return lo_M_C, hi_M_C
