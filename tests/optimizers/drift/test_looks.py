"""Looks are fixed beforehand: what was looked at stays, and all shares together are at most 1."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optimizers.drift.looks import before_of, starts, windows

SIZES = st.integers(0, 700), st.integers(4, 40)


def test_windows_are_dyadic() -> None:
    assert [(one.first, one.end) for one in windows(19, 4)] == [
        *((0, 4), (4, 8), (8, 12), (12, 16)),
        *((0, 8), (8, 16), (0, 16)),
    ]
    assert windows(3, 4) == []


@given(*SIZES, st.integers(0, 100))
def test_a_longer_past_only_adds(n: int, least: int, more: int) -> None:
    assert set(windows(n, least)) <= set(windows(n + more, least))
    assert starts(n + more, least)[: len(starts(n, least))] == starts(n, least)


@given(*SIZES)
def test_the_shares_never_pass_one(n: int, least: int) -> None:
    assert sum(one.share for one in windows(n, least)) < 1
    assert sum(one.share for one in starts(n, least)) < 1


def test_starts_thin_out() -> None:
    firsts = [one.first for one in starts(100_000, 32)]
    assert firsts[:4] == [0, 32, 64, 96]
    assert len(firsts) < 100
    assert all(after <= max(before + 32, before * 1.1) for before, after in pairwise(firsts))


def test_the_last_earlier_episode_of_a_task() -> None:
    assert before_of(np.array([7, 8, 7, 7, 9])).tolist() == [-1, -1, 0, 2, -1]
