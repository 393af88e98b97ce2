"""random@k in closed form: what k fresh attempts are worth when any passing one is kept."""

from __future__ import annotations

from math import comb

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


def _check_k(k: int) -> None:
    if k < 1:
        raise UsageError(f"random@{k}: k is at least 1")
