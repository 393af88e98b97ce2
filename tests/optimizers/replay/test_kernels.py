"""Kernels against loops one can read; mean weights of 1; the choice of the path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path as Folder
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.replay.kernels import COMPILING, Kernels, NumpyKernels, Path, kernels
from optimizers.replay.rows import rows_of, table_of
from tests.worlds.enumerated import enumerated, policies

ROOT = Folder(__file__).resolve().parents[3]


class Problem(NamedTuple):
    option_N_K: np.ndarray
    table_L_C: np.ndarray
    scale_N_K: np.ndarray
    rewards_N_K_M: np.ndarray
    start_T: np.ndarray
    gap_L_C: np.ndarray


def problem(seed: int, *, n: int = 60, C: int = 5) -> Problem:
    """Random episodes, some without any round, tasks of uneven size."""
    draw = np.random.default_rng(seed)
    K, L, M = int(draw.integers(1, 6)), 9, int(draw.integers(0, 4))
    ended_N_K = np.arange(K) >= draw.integers(0, K + 1, size=n)[:, None]
    option_N_K = np.where(ended_N_K, -1, draw.integers(0, L, size=(n, K))).astype(np.int32)
    scale_N_K = np.cumprod(np.where(ended_N_K, 1.0, draw.uniform(0.5, 2, (n, K))), axis=1)
    rewards_N_K_M = np.where(ended_N_K[:, :, None], 0.0, draw.uniform(-1, 1, (n, K, M)))
    cuts = np.unique(draw.integers(1, n, size=7))
    table_L_C = draw.uniform(0, 2, (L, C)) * (draw.random((L, C)) > 0.2)
    return Problem(option_N_K, table_L_C, scale_N_K, rewards_N_K_M, np.array([0, *cuts, n]), draw.random((L, C)))


def by_hand(case: Problem) -> dict[str, np.ndarray]:
    """All sums by the definition, an episode and a round at a time."""
    T, C = len(case.start_T) - 1, case.table_L_C.shape[1]
    N, K, M = case.rewards_N_K_M.shape
    found = {
        "weight": np.zeros((T, C)),
        "value": np.zeros((T, M, C)),
        "square": np.zeros(C),
        "largest": np.zeros(C),
        "round_weight": np.zeros((T, K, C)),
        "round_reward": np.zeros((T, K, M, C)),
        "gap": np.zeros(C),
    }
    for n in range(N):
        t = int(np.searchsorted(case.start_T, n, side="right")) - 1
        product, before = np.ones(C), np.ones(C)
        for k in range(K):
            if (option := case.option_N_K[n, k]) >= 0:
                found["gap"] += before * case.gap_L_C[option]
                product = product * case.table_L_C[option]
            before = product * case.scale_N_K[n, k]
            found["round_weight"][t, k] += before
            found["round_reward"][t, k] += np.outer(case.rewards_N_K_M[n, k], before)
        found["weight"][t] += before
        found["value"][t] += np.outer(case.rewards_N_K_M[n].sum(axis=0), before)
        found["square"] += before**2
        found["largest"] = np.maximum(found["largest"], before)
    return found


def computed(run: Kernels, case: Problem) -> dict[str, np.ndarray]:
    read = (case.option_N_K, case.table_L_C)
    whole = run.weight_sums(*read, case.scale_N_K[:, -1].copy(), case.rewards_N_K_M.sum(axis=1), case.start_T)
    rounds = run.round_sums(*read, case.scale_N_K, case.rewards_N_K_M, case.start_T)
    names = ("weight", "value", "square", "largest", "round_weight", "round_reward", "gap")
    return dict(zip(names, (*whole, *rounds, run.gap_sums(*read, case.scale_N_K, case.gap_L_C)), strict=True))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_numpy_sums_are_those_of_the_definition(seed: int) -> None:
    case = problem(seed)
    found = computed(NumpyKernels(), case)
    for name, wanted in by_hand(case).items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-9, atol=1e-9, err_msg=name)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), episodes=st.integers(1, 70))
def test_numpy_sums_do_not_depend_on_the_blocks(seed: int, episodes: int) -> None:
    case = problem(seed)
    whole, parts = computed(NumpyKernels(), case), computed(NumpyKernels(block_bytes=8 * 5 * episodes), case)
    for name, wanted in whole.items():
        np.testing.assert_allclose(parts[name], wanted, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("path", ["numpy", "numba"])
@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_mean_weights_are_one_where_each_trajectory_has_its_frequency(path: Path, seed: int) -> None:
    rows = rows_of(enumerated())
    table = table_of(rows, policies(seed), slice(None))
    sums = kernels(path).weight_sums(rows.option_N_K, table, rows.scale_N, rows.values_N_M, rows.start_T)
    rounds = kernels(path).round_sums(rows.option_N_K, table, rows.scale_N_K, rows.rewards_N_K_M, rows.start_T)
    n = len(rows.option_N_K)
    np.testing.assert_allclose(sums.weight_T_C.sum(axis=0) / n, 1.0, rtol=1e-9)
    np.testing.assert_allclose(rounds.weight_T_K_C.sum(axis=0) / n, 1.0, rtol=1e-9)


def test_numba_is_taken_where_it_repays_compiling_or_is_asked_for() -> None:
    assert isinstance(kernels(work=COMPILING - 1), NumpyKernels)
    assert isinstance(kernels("numpy", work=COMPILING), NumpyKernels)
    assert type(kernels(work=COMPILING)).__name__ == type(kernels("numba", work=0)).__name__ == "NumbaKernels"


def test_without_numba_the_plain_path_is_taken() -> None:
    program = """
import sys
sys.modules["numba"] = None
from optimizers.replay.kernels import kernels
from signatures.errors import UsageError
print(type(kernels(work=10**12)).__name__)
try:
    kernels("numba")
except UsageError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[0] == "NumpyKernels"
    assert "install the extra `fast`" in ended.stdout
