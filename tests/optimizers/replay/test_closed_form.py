from __future__ import annotations

from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.replay.closed_form import random_at_k
from signatures.errors import NoSupport, UsageError

# Passes in four trials of each of tau-bench's 50 airline tasks by gpt-4o, from `reward` in
# github.com/sierra-research/tau-bench at 59a200c, historical_trajectories/gpt-4o-airline.json.
# MIT License, Copyright (c) 2024 Sierra.
# fmt: off
AIRLINE_PASSES = [
    0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 4, 2, 0, 2, 1, 1, 4, 0, 4, 3, 0, 0, 4,
    0, 2, 2, 0, 1, 2, 2, 0, 0, 3, 4, 4, 3, 4, 1, 3, 2, 4, 1, 2, 2, 2, 1, 4, 4,
]
# fmt: on
COUNTS = st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))


@pytest.mark.parametrize(("k", "published"), [(1, 0.420), (2, 0.567), (3, 0.660), (4, 0.720)])
def test_the_published_airline_numbers(k: int, published: float) -> None:
    exact = [random_at_k(4, passes, k) for passes in AIRLINE_PASSES]
    assert round(sum(exact) / len(exact), 3) == published


@given(COUNTS)
def test_it_is_the_share_of_draws_that_hold_a_pass(counts: tuple[int, int, int]) -> None:
    n, c, k = counts
    hits = sum(min(draw) < c for draw in combinations(range(n), k))
    assert random_at_k(n, c, k) == pytest.approx(hits / comb(n, k), abs=1e-15)


def test_large_counts_stay_exact() -> None:
    assert random_at_k(5_000, 0, 2_000) == 0.0
    assert random_at_k(5_000, 5_000, 1) == 1.0
    assert random_at_k(10_000, 1, 2_500) == 0.25


def test_more_draws_than_attempts_have_no_support() -> None:
    with pytest.raises(NoSupport, match="random@5 from 4"):
        random_at_k(4, 2, 5)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 0)])
def test_counts_that_cannot_be_are_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(UsageError):
        random_at_k(n, c, k)
