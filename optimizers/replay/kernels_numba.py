"""The kernels of `kernels.py`, compiled by numba: one table row a round, vector instructions over candidates.

Importing needs numba (the extra `fast`); each kernel compiles on its first call, into memory only. The machine code
holds no lock of the interpreter, so plain threads share the work; numba's own would compile for several times as long.
Chunks are fixed by the log, so that the number of threads changes no digit.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import numpy.typing as npt

from optimizers.episode_log import Floats, Integers
from optimizers.replay.kernels import RoundSums, Starts, WeightSums

CHUNKS: Final = 16
"""Parts of the work: enough that no thread waits long for the other."""
PIECE: Final = 4_096
"""Episodes of one task beyond which they are shared out."""


class NumbaKernels:
    """The compiled path."""

    def weight_sums(
        self, option_N_K: Integers, table_L_C: Floats, scale_N: Floats, values_N_M: Floats, start_T: Starts
    ) -> WeightSums:
        """As `Kernels.weight_sums`."""
        start_P, first_T = _pieces(start_T)
        P, (M, C) = len(start_P) - 1, (values_N_M.shape[1], table_L_C.shape[1])
        weight_P_C, value_P_M_C = np.zeros((P, C)), np.zeros((P, M, C))
        chunks = _chunks(P)
        square, largest = np.zeros((len(chunks), C)), np.zeros((len(chunks), C))

        def part(i: int) -> None:
            read = (option_N_K, table_L_C, scale_N, values_N_M, start_P)
            _weight_sums(read, chunks[i], (weight_P_C, value_P_M_C, square[i], largest[i]))

        _shared(part, len(chunks))
        sums = (_by_task(weight_P_C, first_T), _by_task(value_P_M_C, first_T))
        return WeightSums(*sums, square.sum(axis=0), largest.max(axis=0, initial=0.0))

    def round_sums(
        self, option_N_K: Integers, table_L_C: Floats, scale_N_K: Floats, rewards_N_K_M: Floats, start_T: Starts
    ) -> RoundSums:
        """As `Kernels.round_sums`."""
        start_P, first_T = _pieces(start_T)
        P, C = len(start_P) - 1, table_L_C.shape[1]
        _, K, M = rewards_N_K_M.shape
        weight_P_K_C, reward_P_K_M_C = np.zeros((P, K, C)), np.zeros((P, K, M, C))
        chunks = _chunks(P)

        def part(i: int) -> None:
            read = (option_N_K, table_L_C, scale_N_K, rewards_N_K_M, start_P)
            _round_sums(read, chunks[i], (weight_P_K_C, reward_P_K_M_C))

        _shared(part, len(chunks))
        return RoundSums(_by_task(weight_P_K_C, first_T), _by_task(reward_P_K_M_C, first_T))

    def gap_sums(self, option_N_K: Integers, table_L_C: Floats, scale_N_K: Floats, gap_L_C: Floats) -> Floats:
        """As `Kernels.gap_sums`."""
        chunks = _chunks(len(option_N_K))
        total = np.zeros((len(chunks), table_L_C.shape[1]))

        def part(i: int) -> None:
            _gap_sums((option_N_K, table_L_C, scale_N_K, gap_L_C), chunks[i], total[i])

        _shared(part, len(chunks))
        summed: Floats = total.sum(axis=0)
        return summed


def _pieces(start_T: Starts) -> tuple[Starts, npt.NDArray[np.int64]]:
    """Starts of pieces of at most PIECE episodes of one task, and which piece is each task's first."""
    count_T = np.maximum(1, -(-np.diff(start_T) // PIECE))
    first_T = np.cumsum(count_T) - count_T
    within_P = np.arange(count_T.sum()) - np.repeat(first_T, count_T)
    start_P = np.append(np.repeat(start_T[:-1], count_T) + PIECE * within_P, start_T[-1])
    return start_P.astype(np.int64), first_T


def _chunks(P: int) -> list[tuple[int, int]]:
    count = min(P, CHUNKS)
    return [(i * P // count, (i + 1) * P // count) for i in range(count)]


def _shared(part: Callable[[int], None], count: int) -> None:
    """Run the parts on as many threads as the machine has cores."""
    with ThreadPoolExecutor(min(CHUNKS, os.cpu_count() or 1)) as threads:
        for done in [threads.submit(part, i) for i in range(count)]:
            done.result()


def _by_task(sums_P: Floats, first_T: npt.NDArray[np.int64]) -> Floats:
    if len(first_T) == len(sums_P):
        return sums_P
    summed: Floats = np.add.reduceat(sums_P, first_T, axis=0)
    return summed


def _weight_sums_python(read, pieces, written):  # type: ignore[no-untyped-def]  # numba infers the types
    option_N_K, table_L_C, scale_N, values_N_M, start_P = read
    weight_P_C, value_P_M_C, square_C, largest_C = written
    (K, C), M = (option_N_K.shape[1], table_L_C.shape[1]), values_N_M.shape[1]
    w = np.empty(C)
    for p in range(pieces[0], pieces[1]):
        for n in range(start_P[p], start_P[p + 1]):
            scale = scale_N[n]
            for c in range(C):
                w[c] = scale
            for k in range(K):
                option = option_N_K[n, k]
                if option < 0:
                    break
                for c in range(C):
                    w[c] *= table_L_C[option, c]
            for c in range(C):
                x = w[c]
                weight_P_C[p, c] += x
                square_C[c] += x * x
                largest_C[c] = max(largest_C[c], x)
            for m in range(M):
                value = values_N_M[n, m]
                for c in range(C):
                    value_P_M_C[p, m, c] += w[c] * value


def _round_sums_python(read, pieces, written):  # type: ignore[no-untyped-def]  # numba infers the types
    option_N_K, table_L_C, scale_N_K, rewards_N_K_M, start_P = read
    weight_P_K_C, reward_P_K_M_C = written
    (K, C), M = (option_N_K.shape[1], table_L_C.shape[1]), rewards_N_K_M.shape[2]
    w = np.empty(C)
    ended_K_C = np.empty(
        (K + 1, C)
    )  # weights of the episodes that end before round k: added to all later rounds at once
    for p in range(pieces[0], pieces[1]):
        ended_K_C[:] = 0.0
        for n in range(start_P[p], start_P[p + 1]):
            w[:] = 1.0
            length = K
            for k in range(K):
                option = option_N_K[n, k]
                if option < 0:
                    length = k
                    break
                scale = scale_N_K[n, k]
                for c in range(C):
                    w[c] *= table_L_C[option, c]
                    weight_P_K_C[p, k, c] += w[c] * scale
                for m in range(M):
                    reward = rewards_N_K_M[n, k, m] * scale
                    if reward != 0.0:
                        for c in range(C):
                            reward_P_K_M_C[p, k, m, c] += w[c] * reward
            scale = scale_N_K[n, K - 1]
            for c in range(C):
                ended_K_C[length, c] += w[c] * scale
        for k in range(K):
            for c in range(C):
                weight_P_K_C[p, k, c] += ended_K_C[k, c]
                ended_K_C[k + 1, c] += ended_K_C[k, c]


def _gap_sums_python(read, episodes, total_C):  # type: ignore[no-untyped-def]  # numba infers the types
    option_N_K, table_L_C, scale_N_K, gap_L_C = read
    K, C = option_N_K.shape[1], table_L_C.shape[1]
    w = np.empty(C)
    for n in range(episodes[0], episodes[1]):
        w[:] = 1.0
        scale = 1.0
        for k in range(K):
            option = option_N_K[n, k]
            if option < 0:
                break
            for c in range(C):
                total_C[c] += scale * w[c] * gap_L_C[option, c]
                w[c] *= table_L_C[option, c]
            scale = scale_N_K[n, k]


# Fused multiply-add and comparisons that need not mind NaN; sums keep their order.
_compiled: Final = importlib.import_module("numba").njit(nogil=True, fastmath={"contract", "nnan", "nsz"})
_weight_sums: Final = _compiled(_weight_sums_python)
_round_sums: Final = _compiled(_round_sums_python)
_gap_sums: Final = _compiled(_gap_sums_python)
