"""The index by hand, without its bias where nothing drifted, and an interval that covers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optimizers.drift.psi import corrected, index_of, psi

SHARES = np.array([0.1, 0.2, 0.3, 0.25, 0.15])
OTHER = np.array([0.3, 0.2, 0.2, 0.2, 0.1])


def test_the_index_is_the_sum_by_hand() -> None:
    found = psi(np.array([0, 3]), np.array([2, 1]))
    q, p = (0.5 / 4, 3.5 / 4), (2.5 / 4, 1.5 / 4)
    assert found == pytest.approx(sum((b - a) * math.log(b / a) for a, b in zip(q, p, strict=True)))


def test_bins_that_both_lack_add_nothing_and_equal_counts_are_zero() -> None:
    assert psi(np.array([4, 0, 6]), np.array([4, 0, 6])) == 0


def test_without_drift_the_bias_is_gone() -> None:
    rng = np.random.default_rng(0)
    pairs = [(rng.multinomial(100, SHARES), rng.multinomial(50, SHARES)) for _ in range(200)]
    raw = np.mean([psi(a, b) for a, b in pairs])
    mended = np.mean([corrected(a, b, seed=n) for n, (a, b) in enumerate(pairs)])
    assert raw > 0.1
    assert abs(mended) < 0.015


def test_the_interval_covers_the_true_index() -> None:
    rng = np.random.default_rng(1)
    truth = float(np.sum((OTHER - SHARES) * np.log(OTHER / SHARES)))
    found = [index_of(rng.multinomial(200, SHARES), rng.multinomial(200, OTHER), seed=n) for n in range(100)]
    assert np.mean([one.lo <= truth <= one.hi for one in found]) >= 0.85
    assert np.mean([one.psi for one in found]) == pytest.approx(truth, abs=0.03)


def test_the_same_seed_gives_the_same_interval() -> None:
    counts = np.array([10, 20, 30]), np.array([5, 5, 20])
    assert index_of(*counts, seed=3) == index_of(*counts, seed=3)
