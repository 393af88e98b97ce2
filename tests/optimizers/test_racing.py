"""Races: how far they look, whom they drop, and how often they drop what is better."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from optimizers.racing import DEFAULT, AllAtOnce, Halving, paired, upper_bound
from optimizers.vectors import Floats


def column(*values: float) -> Floats:
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def test_looks_double_and_the_last_covers_all() -> None:
    assert Halving().rungs(72) == (18, 36, 72)
    assert Halving().rungs(3) == (2, 3) and Halving().rungs(1) == (1,)
    assert AllAtOnce().rungs(72) == (72,)


@given(st.integers(1, 2_000))
def test_rungs_grow(tasks: int) -> None:
    rungs = DEFAULT.rungs(tasks)
    assert rungs[-1] == tasks and list(rungs) == sorted(set(rungs)) and all(size >= 2 for size in rungs[:-1])


def test_the_bound_is_students() -> None:
    values = np.array([0.1, -0.2, 0.3, 0.0, 0.5])
    expected = values.mean() + t.ppf(0.9, 4) * values.std(ddof=1) / 5**0.5
    assert upper_bound(values, 0.1) == pytest.approx(expected)
    assert upper_bound(values[:1], 0.1) == float("inf")


def test_where_nothing_varies_the_unseen_may_still_be_better() -> None:
    """The rule of three: after 30 equal tasks, one in ten may be otherwise at .05."""
    assert upper_bound(np.zeros(30), 0.05) == pytest.approx(1 - 0.05 ** (1 / 30))
    assert upper_bound(np.full(10, -1.0), 0.1) < 0 < upper_bound(np.zeros(10), 0.1)


def test_a_candidate_is_out_when_nothing_speaks_for_it() -> None:
    rng = np.random.default_rng(0)
    rival = rng.random((40, 2))
    worse = np.clip(rival - 0.4 + rng.normal(0, 0.05, (40, 2)), 0, 1)
    mixed = np.column_stack([worse[:, 0], np.clip(rival[:, 1] + 0.1, 0, 1)])
    assert not DEFAULT.plausible(worse, rival)
    assert DEFAULT.plausible(mixed, rival), "better on one objective"
    assert DEFAULT.plausible(worse[:1], rival[:1]), "one task says nothing"
    assert AllAtOnce().plausible(worse, rival)


def test_gaps_are_left_out_of_both_sides() -> None:
    child, rival = column(0.0, np.nan, 1.0), column(np.nan, 1.0, 0.0)
    assert paired(child, rival).tolist() == [[1.0]]
    assert DEFAULT.plausible(column(np.nan, np.nan), column(1.0, 1.0))


@pytest.mark.parametrize("gain", [0.0, 0.05])
def test_what_is_no_worse_is_rarely_dropped(gain: float) -> None:
    """At most `doubt`, over both early looks together; pass/fail tasks, 400 races."""
    rng = np.random.default_rng(1)
    dropped = 0
    for _ in range(400):
        child = (rng.random((72, 1)) < 0.5 + gain).astype(float)
        rival = (rng.random((72, 1)) < 0.5).astype(float)
        dropped += not all(DEFAULT.plausible(child[:size], rival[:size]) for size in (18, 36))
    assert dropped / 400 <= DEFAULT.doubt + 2 * (DEFAULT.doubt * 0.9 / 400) ** 0.5


def test_what_is_much_worse_rarely_reaches_the_last_look() -> None:
    rng = np.random.default_rng(2)
    reached = 0
    for _ in range(200):
        child = (rng.random((72, 1)) < 0.2).astype(float)
        rival = (rng.random((72, 1)) < 0.7).astype(float)
        reached += all(DEFAULT.plausible(child[:size], rival[:size]) for size in (18, 36))
    assert reached / 200 < 0.05


class TestTheLastLook:
    def test_means_decide(self) -> None:
        assert DEFAULT.wins(column(1.0, 0.5), column(0.5, 0.5))
        assert not DEFAULT.wins(column(0.5, 0.5), column(0.5, 0.5)), "equal"
        assert not DEFAULT.wins(column(0.5, 0.0), column(0.5, 0.5))

    def test_a_credible_gain_is_asked_for_where_wanted(self) -> None:
        rng = np.random.default_rng(3)
        rival = (rng.random((100, 1)) < 0.5).astype(float)
        by_chance = rival.copy()
        by_chance[np.flatnonzero(rival[:, 0] == 0)[:1]] = 1.0
        truly = np.ones((100, 1))
        strict = Halving(credible=0.1)
        assert Halving().wins(by_chance, rival) and not strict.wins(by_chance, rival)
        assert strict.wins(truly, rival)

    def test_a_null_candidate_wins_as_often_as_it_says(self) -> None:
        rng, strict = np.random.default_rng(4), Halving(credible=0.2)
        won = sum(
            strict.wins((rng.random((80, 1)) < 0.5).astype(float), (rng.random((80, 1)) < 0.5).astype(float))
            for _ in range(500)
        )
        assert abs(won / 500 - 0.2) < 0.05
