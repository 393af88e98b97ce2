"""Sequential doubly robust sums in plain numpy, one objective and a block of candidates at a time.

Two functions, the same here and compiled in `kernels_dr_numba.py`, so that either module can be handed on:

    dr_sums(logged: Logged, models: Models) -> scores_T_C
    wdr_sums(logged: Logged, models: Models) -> RoundSums(weight_T_K_C, residual_T_K_C, value_T_K_C)

`kernels` takes one of the two. Candidates are the last axis and contiguous: a round of an episode gathers one row of
each table and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Final, NamedTuple

import numpy as np

from optimizers.episode_log import Floats, Integers
from optimizers.replay.kernels import Path, Starts

CHUNK: Final = 512
"""Episodes worked on at once: their rows of 64 candidates stay in the second-level cache."""
COMPILING: Final = 100_000_000
"""Episodes x candidates x objectives below which numpy is done before numba has compiled."""


class Logged(NamedTuple):
    """Episodes sorted by task, as contiguous arrays."""

    option_N_K: Integers
    "index on axis L; -1 from the round on in which the episode had ended"
    inverse_N_K: Floats
    "1 / recorded propensity"
    reward_N_K: Floats
    "of one objective; 0 where the episode had ended"
    start_T: Starts
    "`T + 1`: the first episode of each task, and N. Every task has an episode"


class Models(NamedTuple):
    """What C candidates do in each state, and what a Q model expects of it. The state holds the round."""

    state_L: Integers
    probability_L_C: Floats
    q_L_C: Floats
    "expected rest of the reward after this option"
    v_S_C: Floats
    "expected rest of the reward from this state: the sum over its options of probability x q"


class RoundSums(NamedTuple):
    """Sums over the episodes of a task, `T x K x C`; w_k is the product of the ratios up to and with round k."""

    weight_T_K_C: Floats
    "of w_k, an ended episode carrying its last weight on"
    residual_T_K_C: Floats
    "of w_k (r_k - q(s_k, a_k))"
    value_T_K_C: Floats
    "of w_(k-1) v(s_k)"


class Kernels(NamedTuple):
    """One implementation: this module's or that of `kernels_dr_numba`."""

    dr_sums: Callable[[Logged, Models], Floats]
    wdr_sums: Callable[[Logged, Models], RoundSums]


def dr_sums(logged: Logged, models: Models) -> Floats:
    """The sum over each task's episodes of the doubly robust score, `T x C`.

    From the last round back: D_k = v(s_k) + ratio_k (r_k + D_(k+1) - q(s_k, a_k)), 0 after the end; the score is D_0.
    Source: Jiang & Li 2016, eq. 10.
    """
    ended = _with_end(models)
    scores_T_C = np.zeros((len(logged.start_T) - 1, models.q_L_C.shape[1]))
    for lo, hi, first, cuts in _chunks(logged.start_T):
        score_N_C = np.zeros((hi - lo, scores_T_C.shape[1]))
        for k in reversed(range(logged.option_N_K.shape[1])):
            option_N = logged.option_N_K[lo:hi, k]
            score_N_C -= ended.q_L_C[option_N]
            score_N_C += logged.reward_N_K[lo:hi, k, None]
            score_N_C *= ended.probability_L_C[option_N]
            score_N_C *= logged.inverse_N_K[lo:hi, k, None]
            score_N_C += ended.v_S_C[ended.state_L[option_N]]
        scores_T_C[first : first + len(cuts)] += np.add.reduceat(score_N_C, cuts, axis=0)
    return scores_T_C


def wdr_sums(logged: Logged, models: Models) -> RoundSums:
    """What weighted doubly robust needs of each task and round; the weights are normalised by whoever adds them up.

    Source: Thomas & Brunskill 2016, section 5 (the estimator WDR).
    """
    ended = _with_end(models)
    T, K, C = len(logged.start_T) - 1, logged.option_N_K.shape[1], models.q_L_C.shape[1]
    sums = RoundSums(np.zeros((T, K, C)), np.zeros((T, K, C)), np.zeros((T, K, C)))
    for lo, hi, first, cuts in _chunks(logged.start_T):
        rows = slice(first, first + len(cuts))
        weight_N_C = np.ones((hi - lo, C))
        for k in range(K):
            option_N = logged.option_N_K[lo:hi, k]
            value_N_C = weight_N_C * ended.v_S_C[ended.state_L[option_N]]
            weight_N_C *= ended.probability_L_C[option_N]
            weight_N_C *= logged.inverse_N_K[lo:hi, k, None]
            residual_N_C = weight_N_C * (logged.reward_N_K[lo:hi, k, None] - ended.q_L_C[option_N])
            for total_T_K_C, part_N_C in zip(sums, (weight_N_C, residual_N_C, value_N_C), strict=True):
                total_T_K_C[rows, k] += np.add.reduceat(part_N_C, cuts, axis=0)
    return sums


def kernels(path: Path = "auto", *, work: int) -> Kernels:
    """The compiled kernels where numba can be imported and the work repays compiling; `path` decides where not `auto`.

    work: episodes x candidates x objectives. Raises ModuleNotFoundError for `numba` without numba.
    """
    if path == "numba" or (path == "auto" and work >= COMPILING and find_spec("numba") is not None):
        from optimizers.replay import kernels_dr_numba as compiled

        return Kernels(compiled.dr_sums, compiled.wdr_sums)
    return Kernels(dr_sums, wdr_sums)


def _with_end(models: Models) -> Models:
    """The tables with a last row for episodes that have ended, which index -1 finds: ratio 1, nothing to come."""
    C = models.q_L_C.shape[1]
    return Models(
        state_L=np.append(models.state_L, np.int32(len(models.v_S_C))),
        probability_L_C=np.concatenate([models.probability_L_C, np.ones((1, C))]),
        q_L_C=np.concatenate([models.q_L_C, np.zeros((1, C))]),
        v_S_C=np.concatenate([models.v_S_C, np.zeros((1, C))]),
    )


def _chunks(start_T: Starts) -> Iterator[tuple[int, int, int, Starts]]:
    """Runs of episodes: first, end, the task of the first, and where each of the run's tasks begins within it."""
    for lo in range(0, int(start_T[-1]), CHUNK):
        hi = min(lo + CHUNK, int(start_T[-1]))
        first, last = np.searchsorted(start_T, (lo, hi - 1), side="right") - 1
        yield lo, hi, int(first), np.maximum(start_T[first : last + 1] - lo, 0)
