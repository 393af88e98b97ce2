"""Bins of one observation feature: where the edges lie, and how many states fall between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from optimizers.episode_log import Floats
from signatures.errors import UsageError
from signatures.release import Binned

Ints = npt.NDArray[np.int64]

MOST_VALUES: Final = 6
"""A feature with at most this many values has a bin for each."""
QUANTILES: Final = 5
"""Bins of a feature with more: few, since each is a test."""
_BESIDE: Final = 1e-9


def binned_of(values: Sequence[float | None]) -> Binned:
    """Edges and counts of the values of a reference; None: not observed in that state.

    Few distinct values: a bin each, one below and one above them, so that values never seen before are seen. Many:
    fifths by quantile, and one above all. Raises UsageError on values that are not finite.
    """
    present = [float(value) for value in values if value is not None]
    if not all(math.isfinite(value) for value in present):
        raise UsageError("a value of a feature is not finite; what was not observed is None")
    edges = _edges(np.array(present, dtype=np.float64))
    counts = np.bincount(codes_of(edges, values), minlength=len(edges) + 2)
    return Binned(edges=edges, counts=tuple(counts[:-1].tolist()), absent=int(counts[-1]))


def codes_of(edges: Sequence[float], values: Sequence[float | None]) -> Ints:
    """The bin of each value, `N`; the number after the last bin where it was not observed."""
    given = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    codes = np.searchsorted(np.array(edges, dtype=np.float64), given, side="left")
    return np.where(np.isnan(given), len(edges) + 1, codes).astype(np.int64)


def counts_of(reference: Binned) -> Ints:
    """The reference's counts, `B`: its bins, and last the states in which the feature was not observed."""
    return np.array([*reference.counts, reference.absent], dtype=np.int64)


def _edges(present: Floats) -> tuple[float, ...]:
    values = np.unique(present)
    if len(values) == 0:
        return ()
    if len(values) > MOST_VALUES:
        inner = np.quantile(present, np.arange(1, QUANTILES) / QUANTILES, method="inverted_cdf")
        return tuple(np.unique([*inner, values[-1]]).tolist())
    beside = _BESIDE * np.maximum(1.0, np.abs(values))
    return tuple(np.unique([values[0] - beside[0], *(values + beside)]).tolist())  # of values almost equal, one bin
