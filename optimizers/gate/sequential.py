"""Betting on a bounded mean: e-values, p and intervals valid at any number of tasks, whatever the distribution.

A gambler who starts with 1 stakes a share of his wealth on each next difference. If the mean is at most 0 and the
stake is fixed before the difference is seen, his wealth is a nonnegative supermartingale, so it ever reaches 1/alpha
with probability at most alpha (Ville 1939). Two ways to stake, both of them functions of the past alone:

- without a horizon, for looking at every n: equal parts of the first wealth, staked in shares from 1/64 to 63/64.
- with a horizon of n tasks, registered: the stake that hedges a digital option which pays 1/alpha at the horizon. Where
  differences are normal, small beside the range, and of known spread, it wins as often as the best test of n tasks.
  It stops when 1/alpha is reached, so looking before the horizon changes nothing.

The order of the differences is the order of betting: who calls fixes it without looking at the values.
Sources: Waudby-Smith & Ramdas 2024, Estimating means of bounded random variables by betting, sections 4-5 (the
capital processes and their inversion to an interval); Browne 1999, Reaching goals by a deadline (the stake).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from optimizers.episode_log import Floats
from signatures.errors import UsageError

POINTS: Final = 48
"""Means tried at a time in search of an end of the interval."""

SHARES: Final = 32
"""Stakes mixed where there is no horizon."""

FIRST_SD: Final = 0.35
"""Spread taken for granted at first, as a share of the bound, with the weight of `FIRST_TASKS` tasks."""

FIRST_TASKS: Final = 4

AIM: Final = 1.1
"""The option pays this many times the target, so that steps that are not infinitely small end above it."""

FINER: Final = (1, 1.25, 4 / 3, 1.5, 5 / 3, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100, 1e3, 1e4)
"""Levels below alpha at which p is told, as divisors of alpha: among them what Benjamini-Hochberg asks of a family."""


def e_process(difference_R_T: Floats, bound: float, *, horizon: int | None = None, alpha: float = 0.025) -> Floats:
    """The wealth after each task, `... x T`, of betting that the mean difference is above 0.

    difference_R_T: `... x T`, each row bet on by itself, each value within [-bound, bound]. Nothing is staked after
    the horizon. Raises UsageError on a value outside the bound or not finite.
    """
    difference_R_T = _checked(difference_R_T, bound, horizon, alpha)
    *rows, tasks = difference_R_T.shape
    rows_R_T = difference_R_T.reshape(math.prod(rows), tasks)
    loss_R, target_R = np.full(len(rows_R_T), bound), np.full(len(rows_R_T), 1 / alpha)
    wealth_R_T = _wealth(rows_R_T, loss_R, target_R, bound=bound, horizon=horizon)
    return wealth_R_T.reshape(difference_R_T.shape)


def e_value(difference_R_T: Floats, bound: float, *, horizon: int | None = None, alpha: float = 0.025) -> Floats:
    """The wealth after the last task, `...`: at least 1 / alpha shows, at level alpha, a mean difference above 0."""
    wealth_R_T = e_process(difference_R_T, bound, horizon=horizon, alpha=alpha)
    return wealth_R_T[..., -1] if wealth_R_T.shape[-1] else np.ones(wealth_R_T.shape[:-1])


def e_and_p(
    difference_T: Floats, bound: float, *, horizon: int | None = None, alpha: float = 0.025
) -> tuple[float, float]:
    """`e_and_p_each` of one row."""
    e_R, p_R = e_and_p_each(np.asarray(difference_T)[None], bound, horizon=horizon, alpha=alpha)
    return float(e_R[0]), float(p_R[0])


def e_and_p_each(
    difference_R_T: Floats, bound: float, *, horizon: int | None = None, alpha: float = 0.025
) -> tuple[Floats, Floats]:
    """Each row's e-value, and p, one-sided, against a mean difference of at most 0.

    p above alpha is 1 / e. With a horizon the bets aim at 1 / alpha and no further, so p below alpha comes from
    bets of their own that aim at finer levels (`FINER`): the least level that is reached together with all between
    it and alpha. P(p <= a) <= a for each a, since p <= a needs the bet that aims at the level next to a to win.
    """
    difference_R_T = _checked(difference_R_T, bound, horizon, alpha)
    rows, tasks = difference_R_T.shape
    if not tasks:
        return np.ones(rows), np.ones(rows)
    levels_L = alpha / np.array(FINER if horizon is not None else (1.0,))
    repeated = np.repeat(difference_R_T, len(levels_L), axis=0)
    target = np.tile(1 / levels_L, rows)
    wealth = _wealth(repeated, np.full(len(target), bound), target, bound=bound, horizon=horizon)[:, -1]
    wealth_R_L = wealth.reshape(rows, len(levels_L))
    e_R = wealth_R_L[:, 0]
    p_R = np.where(e_R <= 1, 1.0, 1 / np.maximum(e_R, 1.0))
    if horizon is not None:
        missed_R_L = wealth_R_L < 1 / levels_L
        last_R = np.where(missed_R_L.any(axis=1), missed_R_L.argmax(axis=1) - 1, len(levels_L) - 1)
        p_R = np.where(e_R < 1 / alpha, p_R, levels_L[np.maximum(last_R, 0)])
    return e_R, p_R


def confidence_interval(
    difference_T: Floats, bound: float, alpha: float, *, horizon: int | None = None
) -> tuple[float, float]:
    """`confidence_interval_each` of one row."""
    lo_R, hi_R = confidence_interval_each(np.asarray(difference_T)[None], bound, alpha, horizon=horizon)
    return float(lo_R[0]), float(hi_R[0])


def confidence_interval_each(
    difference_R_T: Floats, bound: float, alpha: float, *, horizon: int | None = None
) -> tuple[Floats, Floats]:
    """Each row's two-sided interval of the mean at level 1 - 2 alpha: the means that neither bet rejects at alpha.

    Valid at any n and, without a horizon, at all n at once; ends are rounded outwards to 1/2,000 of the range. No
    task: the whole range.
    """
    difference_R_T = _checked(difference_R_T, bound, horizon, alpha)
    rows, tasks = difference_R_T.shape
    if not tasks:
        return np.full(rows, -bound), np.full(rows, bound)
    gain_S_T = np.concatenate([difference_R_T, -difference_R_T])
    mean_S = gain_S_T.mean(axis=1)
    grid_S_M = np.linspace(-bound, mean_S, POINTS + 1, axis=1)[:, 1:]
    # no difference is itself a point, so that the interval and the e-value agree on it
    grid_S_M = np.sort(np.column_stack([grid_S_M, np.where(mean_S > 0, 0.0, mean_S)]), axis=1)
    floor_S = np.full(2 * rows, -bound)
    for _ in range(2):
        loss_S_M = np.maximum(bound + grid_S_M, 1e-12 * bound)
        gains = (gain_S_T[:, None, :] - grid_S_M[:, :, None]).reshape(-1, tasks)
        target = np.full(len(gains), 1 / alpha)
        wealth = _wealth(gains, loss_S_M.reshape(-1), target, bound=bound, horizon=horizon)[:, -1]
        kept_S_M = wealth.reshape(grid_S_M.shape) * alpha < 1
        floor_S, ceiling_S = _bracket(kept_S_M, grid_S_M, floor_S)
        grid_S_M = np.linspace(floor_S, ceiling_S, POINTS + 2, axis=1)[:, 1:-1]
    return floor_S[:rows], -floor_S[rows:]


def _bracket(kept_S_M: npt.NDArray[np.bool_], grid_S_M: Floats, floor_S: Floats) -> tuple[Floats, Floats]:
    """The last mean rejected before the first that is kept, and that one; all rejected: the grid's last, twice."""
    padded_S_M = np.column_stack([floor_S, grid_S_M, grid_S_M[:, -1]])
    first_S = np.where(kept_S_M.any(axis=1), kept_S_M.argmax(axis=1), kept_S_M.shape[1])
    each_S = np.arange(len(grid_S_M))
    return padded_S_M[each_S, first_S], padded_S_M[each_S, first_S + 1]


def _checked(difference_R_T: Floats, bound: float, horizon: int | None, alpha: float) -> Floats:
    difference_R_T = np.asarray(difference_R_T, dtype=np.float64)
    if not (math.isfinite(bound) and bound > 0):
        raise UsageError(f"bound {bound} of a difference: it must be above 0")
    if not 0 < alpha < 1:
        raise UsageError(f"alpha {alpha}: it must lie between 0 and 1")
    if horizon is not None and horizon < 1:
        raise UsageError(f"horizon {horizon}: it must be at least one task")
    # a mean over repeats may pass the bound by rounding
    if not np.all(np.abs(difference_R_T) <= bound * (1 + 1e-12)):
        raise UsageError(f"a difference is not finite or lies outside -{bound} to {bound}")
    return np.clip(difference_R_T, -bound, bound)


def _wealth(gain_R_T: Floats, loss_R: Floats, target_R: Floats, *, bound: float, horizon: int | None) -> Floats:
    """gain_R_T: `R x T`, differences less the mean in question; loss_R: the largest loss that the range allows."""
    if horizon is None:
        return _mixed_wealth(gain_R_T, loss_R)
    square_R = np.full(len(gain_R_T), FIRST_TASKS * (FIRST_SD * bound) ** 2)
    wealth_R, wealth_R_T = np.ones(len(gain_R_T)), np.empty(gain_R_T.shape)
    for t in range(gain_R_T.shape[1]):
        if t < horizon:
            # half a task less than what remains, so that the last stakes are bold enough to end on the target
            spread_R = np.sqrt(square_R / (FIRST_TASKS + t) * (horizon - t - 0.5))
            stake_R = np.where(wealth_R >= target_R, 0.0, _stake(wealth_R / target_R, spread_R, 1 / loss_R))
            wealth_R = wealth_R * np.maximum(0.0, 1 + stake_R * gain_R_T[:, t])
            square_R += gain_R_T[:, t] ** 2
        wealth_R_T[:, t] = wealth_R
    return wealth_R_T


def _stake(reached_R: Floats, spread_R: Floats, most_R: Floats) -> Floats:
    """Wealth staked per unit of difference: the hedge of the option, no more than what the largest loss leaves.

    reached_R: wealth as a share of the target; spread_R: standard deviation of the sum of what is to come.
    """
    from scipy.special import ndtri

    value_R = np.clip(reached_R / AIM, 1e-300, 1 - 1e-12)
    density_R = np.exp(-0.5 * ndtri(value_R) ** 2) / math.sqrt(2 * math.pi)
    stake_R: Floats = np.minimum(density_R / (value_R * spread_R), most_R)
    return stake_R


def _mixed_wealth(gain_R_T: Floats, loss_R: Floats) -> Floats:
    share_R_S = (np.arange(SHARES) + 0.5) / SHARES / loss_R[:, None]
    log_R_S, wealth_R_T = np.zeros_like(share_R_S), np.empty(gain_R_T.shape)
    for t in range(gain_R_T.shape[1]):
        log_R_S += np.log1p(share_R_S * gain_R_T[:, t, None])
        wealth_R_T[:, t] = np.exp(np.minimum(log_R_S, 600.0)).mean(axis=1)
    return wealth_R_T
