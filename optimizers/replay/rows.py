"""A log as the kernels read it: episodes sorted by task, importance ratios as table rows, nothing that is missing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from optimizers.episode_log import EpisodeLog, Floats, Integers, Target
from signatures.errors import UsageError

_EXCESS = 1e-6
"""By how much the probabilities of a state may exceed 1 before they are no probabilities."""
_NOTHING = 1e-9
"""Unsupported probability below this is rounding."""


class Rows(NamedTuple):
    """N usable episodes of the T tasks that have any; each task's episodes are neighbours."""

    option_N_K: Integers
    scale_N_K: Floats
    "what a product of table rows up to a round is multiplied with to be a weight; carried on after the end"
    rewards_N_K_M: Floats
    values_N_M: Floats
    start_T: npt.NDArray[np.int64]
    "where each task begins, and last N: T + 1 numbers"
    divisor_L: Floats
    "what probabilities are divided by to make table rows"
    order_N: npt.NDArray[np.int64]
    "the row of each episode in the log"

    @property
    def scale_N(self) -> Floats:
        """The scale of whole episodes."""
        scale: Floats = (
            np.ascontiguousarray(self.scale_N_K[:, -1]) if self.scale_N_K.shape[1] else np.ones(len(self.option_N_K))
        )
        return scale


def usable(log: EpisodeLog) -> npt.NDArray[np.bool_]:
    """Which rounds have a propensity in (0, 1]: `N x K`, true where the episode had ended."""
    valid = (log.propensity_N_K > 0) & (log.propensity_N_K <= 1 + _NOTHING)
    ended_or_valid: npt.NDArray[np.bool_] = (log.option_N_K < 0) | valid
    return ended_or_valid


def rows_of(log: EpisodeLog) -> Rows:
    """The episodes of which every propensity is known, sorted by task.

    Where the recorded propensity of every draw is the state's own `behaviour_L`, probabilities are divided by that
    once per option, and a kernel reads one table row a round; else each episode has a scale of its own.
    """
    kept = np.flatnonzero(usable(log).all(axis=1))
    order_N = kept[np.argsort(log.task_N[kept], kind="stable")].astype(np.int64)
    option_N_K = np.ascontiguousarray(log.option_N_K[order_N])
    live_N_K = option_N_K >= 0
    propensity_N_K = np.where(live_N_K, log.propensity_N_K[order_N], 1.0)
    shared_N_K = np.where(live_N_K, log.behaviour_L[option_N_K], 1.0) if log.behaviour_L.size else propensity_N_K
    if np.allclose(propensity_N_K, shared_N_K, rtol=1e-12, atol=0.0):
        divisor_L, scale_N_K = log.behaviour_L, np.ones_like(propensity_N_K)
    else:
        divisor_L, scale_N_K = np.ones_like(log.behaviour_L), np.cumprod(1.0 / propensity_N_K, axis=1)
    rewards_N_K_M = np.ascontiguousarray(log.rewards_N_K_M[order_N])
    task_N = log.task_N[order_N]
    starts = np.flatnonzero(np.diff(task_N, prepend=-1)) if len(task_N) else np.zeros(0, dtype=np.int64)
    start_T = np.append(starts, len(task_N)).astype(np.int64)
    return Rows(option_N_K, scale_N_K, rewards_N_K_M, rewards_N_K_M.sum(axis=1), start_T, divisor_L, order_N)


def table_of(rows: Rows, target: Target, chosen: slice) -> Floats:
    """The kernels' table of a block of candidates, `L x C`: probability over divisor, 0 where nothing was recorded."""
    divisor_L_1 = rows.divisor_L[:, None]
    table_L_C = np.zeros_like(target.probability_L_C[:, chosen], order="C", dtype=np.float64)
    np.divide(target.probability_L_C[:, chosen], divisor_L_1, out=table_L_C, where=divisor_L_1 > 0)
    return table_L_C


def gap_of(log: EpisodeLog, target: Target, chosen: slice) -> Floats:
    """Probability, at the state of each option, of what the record cannot hold: `L x C`.

    That is the probability of options with behaviour 0 and what a candidate's probabilities lack to 1. Raises
    UsageError where probabilities are negative, not finite or sum to more than 1, or the log has other options.
    """
    probability_L_C = target.probability_L_C[:, chosen]
    if len(probability_L_C) != len(log.behaviour_L):
        raise UsageError(f"probabilities of {len(probability_L_C)} options for a log of {len(log.behaviour_L)}")
    if not (probability_L_C >= 0).all():
        raise UsageError("a candidate's probability is negative or not a number")
    if not len(probability_L_C):
        return np.zeros_like(probability_L_C)
    first_L = np.diff(log.state_L, prepend=-1) != 0
    starts = np.flatnonzero(first_L)
    if np.add.reduceat(probability_L_C, starts, axis=0).max(initial=0.0) > 1 + _EXCESS:
        raise UsageError("a candidate's probabilities sum to more than 1 at a state")
    recorded_L_1 = (log.behaviour_L > 0)[:, None]
    gap = 1.0 - np.add.reduceat(np.where(recorded_L_1, probability_L_C, 0.0), starts, axis=0)
    gap_L_C: Floats = np.where(gap > _NOTHING, gap, 0.0)[np.cumsum(first_L) - 1]
    return gap_L_C
