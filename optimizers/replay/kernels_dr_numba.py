"""Sequential doubly robust sums, compiled: the functions of `kernels_dr.py` with numba. Importing this needs numba.

A task's episodes are added up by one thread into rows that only it writes, so results do not depend on the number of
threads. Compiled in memory on first use (seconds), nothing is written beside the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numba import njit, prange

from optimizers.episode_log import Floats
from optimizers.replay.kernels_dr import Logged, Models, RoundSums


def _dr_sums(logged: Logged, models: Models) -> Floats:
    C = models.q_L_C.shape[1]
    scores_T_C = np.zeros((len(logged.start_T) - 1, C))
    for t in prange(len(logged.start_T) - 1):
        score_C = np.empty(C)
        for n in range(logged.start_T[t], logged.start_T[t + 1]):
            score_C[:] = 0.0
            for k in range(logged.option_N_K.shape[1] - 1, -1, -1):
                option = logged.option_N_K[n, k]
                if option < 0:
                    continue
                inverse, reward = logged.inverse_N_K[n, k], logged.reward_N_K[n, k]
                p_C, q_C = models.probability_L_C[option], models.q_L_C[option]
                v_C = models.v_S_C[models.state_L[option]]
                for c in range(C):
                    score_C[c] = v_C[c] + p_C[c] * inverse * (reward - q_C[c] + score_C[c])
            for c in range(C):
                scores_T_C[t, c] += score_C[c]
    return scores_T_C


def _wdr_sums(logged: Logged, models: Models) -> RoundSums:
    T, K, C = len(logged.start_T) - 1, logged.option_N_K.shape[1], models.q_L_C.shape[1]
    weight_T_K_C, residual_T_K_C, value_T_K_C = np.zeros((T, K, C)), np.zeros((T, K, C)), np.zeros((T, K, C))
    for t in prange(T):
        w_C = np.empty(C)
        for n in range(logged.start_T[t], logged.start_T[t + 1]):
            w_C[:] = 1.0
            for k in range(K):
                option = logged.option_N_K[n, k]
                weight_C, residual_C, value_C = weight_T_K_C[t, k], residual_T_K_C[t, k], value_T_K_C[t, k]
                if option < 0:
                    for c in range(C):
                        weight_C[c] += w_C[c]
                    continue
                inverse, reward = logged.inverse_N_K[n, k], logged.reward_N_K[n, k]
                p_C, q_C = models.probability_L_C[option], models.q_L_C[option]
                v_C = models.v_S_C[models.state_L[option]]
                for c in range(C):
                    value_C[c] += w_C[c] * v_C[c]
                    w_C[c] *= p_C[c] * inverse
                    weight_C[c] += w_C[c]
                    residual_C[c] += w_C[c] * (reward - q_C[c])
    return RoundSums(weight_T_K_C, residual_T_K_C, value_T_K_C)


dr_sums: Final[Callable[[Logged, Models], Floats]] = njit(parallel=True, cache=False)(_dr_sums)
wdr_sums: Final[Callable[[Logged, Models], RoundSums]] = njit(parallel=True, cache=False)(_wdr_sums)
