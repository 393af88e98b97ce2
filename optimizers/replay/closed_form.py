"""random@k in closed form: what k fresh attempts are worth when any passing one is kept."""

from __future__ import annotations

from math import comb

import numpy as np
import numpy.typing as npt

from signatures.errors import NoSupport, UsageError


def random_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of n recorded attempts, drawn without replacement, hold one of the c passes.

    1 - C(n-c, k) / C(n, k), in whole numbers until the last division. Raises NoSupport where k > n: the record
    does not hold k attempts; UsageError on counts that cannot be.
    Source: Chen et al. 2021, "Evaluating large language models trained on code", eq. 1 (pass@k).
    """
    _check_k(k)
    if not 0 <= c <= n:
        raise UsageError(f"{c} passes in {n} attempts cannot be")
    if k > n:
        raise NoSupport(f"random@{k} from {n} recorded attempts")
    whole = comb(n, k)
    return (whole - comb(n - c, k)) / whole


def random_at_k_tasks(attempts_T: npt.ArrayLike, passes_T: npt.ArrayLike, k: int) -> npt.NDArray[np.float64]:
    """`random_at_k` of every task at once, as a product of k ratios.

    attempts_T, passes_T: `T` whole numbers; returns `T` probabilities, equal to the exact ones within 1e-12.
    Raises NoSupport naming how many tasks have fewer than k attempts; UsageError on counts that cannot be.
    Source: as `random_at_k`; the product form is that paper's figure 3.
    """
    _check_k(k)
    n_T, c_T = np.asarray(attempts_T), np.asarray(passes_T)
    if n_T.ndim != 1 or n_T.shape != c_T.shape:
        raise UsageError(f"attempts and passes are two lists of one length, not {n_T.shape} and {c_T.shape}")
    if not (_whole(n_T) and _whole(c_T)) or (c_T < 0).any() or (c_T > n_T).any():
        raise UsageError("attempts and passes are whole numbers, and no task passes more often than it was tried")
    short = int((n_T < k).sum())
    if short:
        raise NoSupport(f"random@{k}: {short} of {len(n_T)} tasks have fewer than {k} recorded attempts")
    drawn_K = np.arange(k)
    fails_T_K = np.clip((n_T - c_T)[:, None] - drawn_K, 0, None) / (n_T[:, None] - drawn_K)
    all_fail_T: npt.NDArray[np.float64] = fails_T_K.prod(axis=1)
    return 1.0 - all_fail_T


def _check_k(k: int) -> None:
    if k < 1:
        raise UsageError(f"random@{k}: k is at least 1")


def _whole(counts_T: npt.NDArray[np.generic]) -> bool:
    return not counts_T.size or np.issubdtype(counts_T.dtype, np.integer)
