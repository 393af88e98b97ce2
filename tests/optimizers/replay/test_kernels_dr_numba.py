"""The compiled sums are the plain ones."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.replay import kernels_dr, kernels_dr_numba
from optimizers.replay.kernels_dr import Logged, Models


def case(seed: int, C: int, tasks: int) -> tuple[Logged, Models]:
    rng = np.random.default_rng(seed)
    start_T = np.concatenate([[0], np.cumsum(rng.integers(1, 40, tasks))]).astype(np.int64)
    N, K, S, A = int(start_T[-1]), 8, 20, 5
    ended_N_K = np.arange(K) >= rng.integers(0, K + 1, N)[:, None]
    logged = Logged(
        np.where(ended_N_K, -1, rng.integers(0, S * A, (N, K))).astype(np.int32),
        np.where(ended_N_K, 1.0, rng.uniform(1, 20, (N, K))),
        np.where(ended_N_K, 0.0, rng.random((N, K))),
        start_T,
    )
    tables = rng.random((2, S * A, C))
    return logged, Models(np.repeat(np.arange(S), A).astype(np.int32), tables[0], tables[1], rng.random((S, C)))


@pytest.mark.parametrize(("C", "tasks"), [(1, 1), (64, 30), (7, 100)])
def test_both_paths_agree(C: int, tasks: int) -> None:
    logged, models = case(C, C, tasks)
    plain, compiled = kernels_dr.dr_sums(logged, models), kernels_dr_numba.dr_sums(logged, models)
    assert compiled == pytest.approx(plain, rel=1e-9, abs=1e-9)
    both = zip(kernels_dr.wdr_sums(logged, models), kernels_dr_numba.wdr_sums(logged, models), strict=True)
    for one, other in both:
        assert other == pytest.approx(one, rel=1e-9, abs=1e-9)


def test_results_do_not_depend_on_threads() -> None:
    import numba

    logged, models = case(5, 16, 50)
    together = kernels_dr_numba.dr_sums(logged, models)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        alone = kernels_dr_numba.dr_sums(logged, models)
    finally:
        numba.set_num_threads(before)
    assert (alone == together).all()
