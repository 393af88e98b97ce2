"""Sums over episodes of importance weights, for a block of candidates at once, in plain numpy; and which path is taken.

A kernel reads sorted episodes (`Rows`) and a table of a block of candidates, candidates last and contiguous. It
returns sums per task, and everything else (point, effective sample size, interval) is arithmetic on those.
The weight of an episode is the product of its options' table rows, times a scale of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from optimizers.episode_log import Floats, Integers
from signatures.errors import UsageError

Starts = npt.NDArray[np.int64]
Path = Literal["auto", "numba", "numpy"]

BLOCK_BYTES: Final = 1 << 19
"""Size of one array of weights while episodes are worked on: two of them fit in the second-level cache."""
COMPILING: Final = 200_000_000
"""Episodes x candidates below which numpy is done before numba has compiled."""


class WeightSums(NamedTuple):
    """Whole-episode weights summed."""

    weight_T_C: Floats
    value_T_M_C: Floats
    "of weight x value"
    square_C: Floats
    "of squared weights"
    largest_C: Floats
    "the largest weight, not a sum"


class RoundSums(NamedTuple):
    """Cumulative weights summed round by round; an ended episode's weight is carried on."""

    weight_T_K_C: Floats
    reward_T_K_M_C: Floats
    "of weight up to the round x the round's reward"


class Kernels(Protocol):
    """One implementation of the three sums: this module or `kernels_numba`.

    option_N_K: `N x K` rows of the table, -1 after the end. table_L_C: `L x C`. start_T: `T + 1` offsets of tasks,
    the last one N; no task is empty.
    """

    def weight_sums(
        self, option_N_K: Integers, table_L_C: Floats, scale_N: Floats, values_N_M: Floats, start_T: Starts
    ) -> WeightSums:
        """Sums of whole-episode weights. scale_N: `N`, values_N_M: `N x M`."""

    def round_sums(
        self, option_N_K: Integers, table_L_C: Floats, scale_N_K: Floats, rewards_N_K_M: Floats, start_T: Starts
    ) -> RoundSums:
        """Sums of cumulative weights. scale_N_K: `N x K` (carried on after the end), rewards_N_K_M: `N x K x M`."""

    def gap_sums(self, option_N_K: Integers, table_L_C: Floats, scale_N_K: Floats, gap_L_C: Floats) -> Floats:
        """Sum over episodes and their rounds of (weight before the round) x gap_L_C[option]: `C`."""


class NumpyKernels:
    """The plain path, a block of episodes at a time."""

    def __init__(self, block_bytes: int = BLOCK_BYTES) -> None:
        self._block_bytes = block_bytes

    def weight_sums(
        self, option_N_K: Integers, table_L_C: Floats, scale_N: Floats, values_N_M: Floats, start_T: Starts
    ) -> WeightSums:
        """As `Kernels.weight_sums`. Memory beyond the result: a few blocks."""
        (T, C), M = (len(start_T) - 1, table_L_C.shape[1]), values_N_M.shape[1]
        total_T_J_C, square_C, largest_C = np.zeros((T, 1 + M, C)), np.zeros(C), np.zeros(C)
        table, options = _padded(table_L_C, option_N_K)
        factors_J_N = np.concatenate([np.ones((1, len(scale_N))), values_N_M.T])
        for block in self._blocks(len(options), C):
            weight = table[options[block, 0]]
            for k in range(1, options.shape[1]):
                if not (option_N_K[block, k] >= 0).any():
                    break
                weight *= table[options[block, k]]
            weight *= scale_N[block, None]
            _add_by_task(total_T_J_C, factors_J_N[:, block], weight, start_T, block)
            square_C += np.einsum("nc,nc->c", weight, weight)
            np.maximum(largest_C, weight.max(axis=0), out=largest_C)
        return WeightSums(total_T_J_C[:, 0], total_T_J_C[:, 1:], square_C, largest_C)

    def round_sums(
        self, option_N_K: Integers, table_L_C: Floats, scale_N_K: Floats, rewards_N_K_M: Floats, start_T: Starts
    ) -> RoundSums:
        """As `Kernels.round_sums`. Memory beyond the result: a few blocks."""
        T, C = len(start_T) - 1, table_L_C.shape[1]
        N, K, M = rewards_N_K_M.shape
        total_K_T_J_C = np.zeros((K, T, 1 + M, C))
        table, options = _padded(table_L_C, option_N_K)
        factors_K_J_N = np.concatenate([np.ones((N, K, 1)), rewards_N_K_M], axis=2).transpose(1, 2, 0)
        factors_K_J_N = factors_K_J_N * scale_N_K.T[:, None, :]
        for block in self._blocks(N, C):
            weight = np.ones((len(options[block]), C))
            for k in range(K):
                weight *= table[options[block, k]]
                _add_by_task(total_K_T_J_C[k], factors_K_J_N[k][:, block], weight, start_T, block)
        total_T_K_J_C = total_K_T_J_C.transpose(1, 0, 2, 3)
        return RoundSums(total_T_K_J_C[:, :, 0], total_T_K_J_C[:, :, 1:])

    def gap_sums(self, option_N_K: Integers, table_L_C: Floats, scale_N_K: Floats, gap_L_C: Floats) -> Floats:
        """As `Kernels.gap_sums`."""
        total_C = np.zeros(table_L_C.shape[1])
        table, options = _padded(table_L_C, option_N_K)
        gap, _ = _padded(gap_L_C, option_N_K, end=0.0)
        for block in self._blocks(len(options), len(total_C)):
            weight = np.ones((len(options[block]), len(total_C)))
            scale = np.ones(len(options[block]))
            for k in range(options.shape[1]):
                total_C += np.einsum("n,nc,nc->c", scale, weight, gap[options[block, k]])
                weight *= table[options[block, k]]
                scale = scale_N_K[block, k]
        return total_C

    def _blocks(self, N: int, C: int) -> Iterator[slice]:
        size = max(1, self._block_bytes // (8 * max(C, 1)))
        return (slice(first, min(first + size, N)) for first in range(0, N, size))


def kernels(path: Path = "auto", *, work: int = COMPILING) -> Kernels:
    """The compiled kernels where numba can be imported and the work (episodes x candidates) repays compiling.

    `path` decides alone where it is not `auto`. Raises UsageError for `numba` where there is none.
    """
    available = find_spec("numba") is not None
    if path == "numba" and not available:
        raise UsageError("compiled kernels need numba: install the extra `fast`, or take the path `numpy`")
    if path == "numba" or (path == "auto" and work >= COMPILING and available):
        from optimizers.replay.kernels_numba import NumbaKernels

        return NumbaKernels()
    return NumpyKernels()


def _padded(table_L_C: Floats, option_N_K: Integers, *, end: float = 1.0) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The table with a last row for ended episodes, and options that name it instead of -1."""
    table = np.concatenate([table_L_C, np.full((1, table_L_C.shape[1]), end)])
    return table, np.where(option_N_K < 0, len(table_L_C), option_N_K).astype(np.int64)


def _add_by_task(total_T_J_C: Floats, factors_J_N: Floats, weight_N_C: Floats, start_T: Starts, block: slice) -> None:
    """Add each task's part of factors x weights to its total; the N are the episodes of the block."""
    first = int(np.searchsorted(start_T, block.start, side="right")) - 1
    last = int(np.searchsorted(start_T, block.stop, side="left"))
    bounds = np.clip(start_T[first : last + 1], block.start, block.stop) - block.start
    for t, (a, b) in enumerate(itertools.pairwise(bounds), start=first):
        total_T_J_C[t] += factors_J_N[:, a:b] @ weight_N_C[a:b]
