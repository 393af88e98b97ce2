"""Whether a feature's distribution in production is another than in the reference: an exact test in every window.

Without drift the states of reference and window are exchangeable, so each bin's count in the window is hypergeometric
given both totals: exact at any n, and the noise of the reference is in it. The least p of a feature's bins counts as
many times as it has bins, as the reference has features, and by the share of its window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from optimizers.drift.binned import Ints, codes_of, counts_of
from optimizers.drift.looks import before_of, windows
from optimizers.drift.psi import Index, corrected, index_of
from optimizers.drift.records import FeatureDrift, Limits
from optimizers.episode_log import Floats
from signatures.digest import seed_of
from signatures.release import Binned

UNSUSPICIOUS: Final = 2.0
"""Standard deviations below which a count is not looked at further: its p counts as 1."""


class State(NamedTuple):
    """What was observed in one production episode after its first attempt."""

    task: str
    features: Mapping[str, float]


class _Found(NamedTuple):
    p: float
    window: tuple[int, int] | None = None
    psi: float | None = None


def feature_drifts(
    reference: Mapping[str, Binned], states: Sequence[State], limits: Limits | None = None
) -> tuple[FeatureDrift, ...]:
    """One finding per feature of the reference, in its order. `states` are in order of arrival."""
    limits = limits or Limits()
    states = states[:: limits.every]
    names: dict[str, int] = {}
    tasks = np.array([names.setdefault(state.task, len(names)) for state in states], dtype=np.int64)
    before_N = before_of(tasks)
    return tuple(
        _drift(name, reference, _codes(name, reference[name], states), before_N, limits=limits) for name in reference
    )


def bin_p(reference_B: Ints, counts_B: Ints) -> Floats:
    """Two-sided p of each bin's count, `... x B`, given both totals; 1 where a count is not suspicious at all."""
    from scipy.stats import hypergeom

    counts_B = np.asarray(counts_B)
    n, m = counts_B.sum(axis=-1, keepdims=True), reference_B.sum()
    pooled_B = reference_B + counts_B
    share_B = pooled_B / np.maximum(m + n, 1)
    spread_B = np.sqrt(n * m * share_B * (1 - share_B) / np.maximum(m + n - 1, 1))
    odd_B = np.abs(counts_B - n * share_B) > UNSUSPICIOUS * spread_B
    p_B = np.ones(counts_B.shape)
    if odd_B.any():
        total, drawn = (np.broadcast_to(one, counts_B.shape)[odd_B] for one in (m + n, n))
        law = hypergeom(total, pooled_B[odd_B], drawn)
        p_B[odd_B] = np.minimum(1.0, 2 * np.minimum(law.cdf(counts_B[odd_B]), law.sf(counts_B[odd_B] - 1)))
    return p_B


def _drift(
    name: str, references: Mapping[str, Binned], codes_N: Ints, before_N: Ints, *, limits: Limits
) -> FeatureDrift:
    reference_B, seed = counts_of(references[name]), seed_of("drift", name)
    first_B = np.bincount(codes_N[before_N < 0], minlength=len(reference_B))
    index: Index | None = None
    if first_B.sum() and reference_B.sum():
        index = index_of(reference_B, first_B, seed=seed)
    found = _loudest(reference_B, codes_N, before_N, features=len(references), limits=limits, seed=seed)
    return FeatureDrift(
        feature=name,
        reference_n=int(reference_B.sum()),
        n=int(first_B.sum()),
        psi=index and index.psi,
        lo=index and index.lo,
        hi=index and index.hi,
        p=found.p,
        window=found.window,
        window_psi=found.psi,
        alarm=found.p <= limits.alpha / 2 and found.psi is not None and found.psi >= limits.least_psi,
    )


def _loudest(reference_B: Ints, codes_N: Ints, before_N: Ints, *, features: int, limits: Limits, seed: int) -> _Found:
    """The window with the least corrected p, of those that alarm if any does; without a full window p is 1."""
    each = windows(len(codes_N), limits.window)
    if not each or not reference_B.sum():
        return _Found(1.0)
    counts_W_B = np.array([_counts(codes_N, before_N, one.first, one.end, len(reference_B)) for one in each])
    share_W = np.array([one.share for one in each])
    p_W = np.minimum(1.0, bin_p(reference_B, counts_W_B).min(axis=1) * len(reference_B) * features / share_W)
    best: _Found | None = None
    for number in np.argsort(p_W, kind="stable").tolist():
        if best is not None and p_W[number] > limits.alpha / 2:
            break
        window = each[number].first * limits.every + 1, each[number].end * limits.every
        one = _Found(float(p_W[number]), window, corrected(reference_B, counts_W_B[number], seed=seed))
        if one.psi is not None and one.psi >= limits.least_psi:
            return one
        best = best or one
    return best or _Found(1.0)


def _counts(codes_N: Ints, before_N: Ints, first: int, end: int, bins: int) -> Ints:
    """How many tasks of a window fall into each bin, each with its first episode there."""
    inside = slice(first, end)
    counts: Ints = np.bincount(codes_N[inside][before_N[inside] < first], minlength=bins)
    return counts


def _codes(name: str, reference: Binned, states: Sequence[State]) -> Ints:
    return codes_of(reference.edges, [state.features.get(name) for state in states])
