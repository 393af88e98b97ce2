"""The compiled kernels give what the plain ones give."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.replay.kernels import NumpyKernels
from optimizers.replay.kernels_numba import PIECE, NumbaKernels
from tests.optimizers.replay.test_kernels import Problem, computed, problem


def assert_same(case: Problem) -> None:
    compiled = computed(NumbaKernels(), case)
    for name, wanted in computed(NumpyKernels(), case).items():
        np.testing.assert_allclose(compiled[name], wanted, rtol=1e-9, atol=1e-9, err_msg=name)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(8, 80), C=st.integers(1, 70))
def test_compiled_and_plain_sums_are_the_same(seed: int, n: int, C: int) -> None:
    assert_same(problem(seed, n=n, C=C))


def test_a_task_of_many_episodes_is_summed_in_pieces() -> None:
    assert_same(problem(4, n=5 * PIECE + 3, C=3))


def test_nothing_gives_nothing() -> None:
    case = problem(6)
    none = case._replace(
        option_N_K=case.option_N_K[:0],
        scale_N_K=case.scale_N_K[:0],
        rewards_N_K_M=case.rewards_N_K_M[:0],
        start_T=np.array([0]),
    )
    assert_same(none)
    assert all(not sums.any() for sums in computed(NumbaKernels(), none).values())


def test_the_same_call_gives_the_same_digits() -> None:
    case = problem(7, n=5_000)
    first, second = computed(NumbaKernels(), case), computed(NumbaKernels(), case)
    assert all((first[name] == second[name]).all() for name in first)
