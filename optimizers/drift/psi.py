"""The population stability index of two sets of counts: its size without its bias, and its interval.

PSI = sum over bins of (p - q) ln(p / q). It is never negative, so it is above 0 without any drift: at 50 states in
five bins by about 4 (1/50 + 1/m) = .1, the usual threshold. So the null is simulated: both sets are pooled and dealt
out anew, and the mean index of these deals is taken off. Half a state is added to every bin, so that an empty one has
a logarithm. Source: Yurdakul & Naranjo 2020, Statistical properties of the population stability index (its bias).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from optimizers.drift.binned import Ints
from optimizers.episode_log import Floats

DEALS: Final = 400
RESAMPLES: Final = 1_000
_ADDED: Final = 0.5


class Index(NamedTuple):
    """An index less its bias, with its 95 % interval."""

    psi: float
    lo: float
    hi: float


def psi(reference_B: Ints | Floats, counts_B: Ints | Floats) -> Floats:
    """The index as it stands, `...`, of `... x B` counts. Bins that both lack add nothing."""
    reference_B, counts_B = np.asarray(reference_B, dtype=np.float64), np.asarray(counts_B, dtype=np.float64)
    q_B, p_B = _shares(reference_B), _shares(counts_B)
    there_B = (reference_B > 0) | (counts_B > 0)
    found: Floats = np.where(there_B, (p_B - q_B) * np.log(p_B / q_B), 0.0).sum(axis=-1)
    return found


def index_of(reference_B: Ints, counts_B: Ints, *, seed: int = 0) -> Index:
    """The index less its simulated null mean, and a bootstrap interval over tasks of both sides.

    Counts are of tasks, one state each. A resample has the bias twice, the sampling's and its own, so both are taken
    off. The interval is approximate: its coverage is in docs/drift.md.
    """
    rng = np.random.default_rng(seed)
    bias = _null_mean(reference_B, counts_B, rng)
    n, m = int(counts_B.sum()), int(reference_B.sum())
    again = psi(rng.multinomial(m, reference_B / m, size=RESAMPLES), rng.multinomial(n, counts_B / n, size=RESAMPLES))
    found = float(psi(reference_B, counts_B)) - bias
    lo, hi = np.quantile(again, (0.025, 0.975)) - 2 * bias
    return Index(found, min(float(lo), found), max(float(hi), found))


def corrected(reference_B: Ints, counts_B: Ints, *, seed: int = 0) -> float:
    """The index less its simulated null mean."""
    bias = _null_mean(reference_B, counts_B, np.random.default_rng(seed))
    return float(psi(reference_B, counts_B)) - bias


def _null_mean(reference_B: Ints, counts_B: Ints, rng: np.random.Generator) -> float:
    pooled_B = reference_B + counts_B
    dealt = rng.multivariate_hypergeometric(pooled_B, int(counts_B.sum()), size=DEALS, method="marginals")
    return float(psi(pooled_B - dealt, dealt).mean())


def _shares(counts_B: Floats) -> Floats:
    added = counts_B + _ADDED
    shares: Floats = added / added.sum(axis=-1, keepdims=True)
    return shares
