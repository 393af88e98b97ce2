"""The meter: what counts, what is left, when it is over, and that attempts at once do not overshoot."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.admission import LimitReached
from controllers.budget import Budget
from controllers.executor import AsyncExecutor
from optimizers.meter import Limits, Meter
from optimizers.records import Tally
from signatures.records import Amounts, Cost


class Ticking:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def meter_of(limits: Limits, clock: Ticking | None = None) -> tuple[Meter, Tally, Budget]:
    tally, budget = Tally(), Budget(Amounts())
    return Meter(limits, tally, budget, clock=clock or Ticking()), tally, budget


def test_evaluations_and_proposals_are_counted_together() -> None:
    meter, tally, budget = meter_of(Limits(compute=10, tokens=1_000, usd=1.0))
    assert meter.spent() == (0, 0, 0, 0.0, 0.0) and meter.share() == 0.0 and meter.over() is None
    tally.attempts = 4
    budget.bill(Amounts(attempts=2, tokens=300, usd=0.1))
    budget.charge(Cost(tokens_in=150, tokens_out=50, usd=0.4))
    assert meter.spent()[:4] == (4, 2, 500, 0.5)
    assert (meter.left("compute"), meter.left("tokens"), meter.left("attempts")) == (6, 500, None)
    assert meter.share() == 0.5
    budget.charge(Cost(usd=0.5))
    assert meter.share() == 1.0 and (meter.over() or "").startswith("usd: 1 of 1")


def test_without_limits_nothing_is_ever_over() -> None:
    meter, tally, budget = meter_of(Limits())
    tally.attempts = 10**9
    budget.bill(Amounts(attempts=10**9, usd=1e9))
    assert not meter.limited and meter.share() == 0.0 and meter.over() is None and meter.left("usd") is None


def test_an_evaluation_that_was_cut_short_ends_the_search_for_good() -> None:
    meter, _, _ = meter_of(Limits(attempts=10))
    meter.cut("attempts: 9 of 10 spent")
    meter.cut("another")
    assert meter.over() == "attempts: 9 of 10 spent"


class TestTime:
    def test_it_is_read_off_the_journal_between_candidates(self) -> None:
        clock = Ticking()
        meter, _, _ = meter_of(Limits(minutes=1), clock)
        clock.now += 45
        assert meter.spent().wall_s == 0 and meter.over() is None, "no clock is read here"
        assert meter.stamp() == 45 and meter.share() == 0.75
        clock.now += 20
        assert meter.over() is None
        assert meter.stamp() == 65 and (meter.over() or "").startswith("minutes")

    def test_earlier_executions_count_and_reading_them_does_not(self) -> None:
        clock = Ticking()
        meter, _, _ = meter_of(Limits(minutes=1), clock)
        for wall in (10.0, 30.0):
            clock.now += 100
            meter.passed(wall)
            assert meter.spent().wall_s == wall
        clock.now += 5
        assert meter.stamp() == 35

    def test_without_that_limit_nothing_is_timed(self) -> None:
        clock = Ticking()
        meter, _, _ = meter_of(Limits(usd=1.0), clock)
        clock.now += 7
        meter.passed(50.0)
        assert meter.stamp() is None and meter.spent().wall_s == 7

    async def test_an_attempt_is_not_admitted_after_it(self) -> None:
        clock = Ticking()
        meter, _, _ = meter_of(Limits(minutes=1), clock)
        with meter.flight() as flight:
            await flight.ticket().admit(1, Amounts())
            clock.now += 61
            with pytest.raises(LimitReached, match="minutes"):
                await flight.ticket().admit(1, Amounts())


class TestFlight:
    async def test_it_counts_at_once_and_is_forgotten_when_it_is_billed(self) -> None:
        meter, _, _ = meter_of(Limits(attempts=3))
        with meter.flight() as flight:
            ticket = flight.ticket()
            await ticket.admit(2, Amounts())
            ticket.landed(Amounts(attempts=2))
            with pytest.raises(LimitReached, match="attempts: 2 of 3 spent"):
                await flight.ticket().admit(2, Amounts())
            assert flight.refused
        with meter.flight() as flight:
            await flight.ticket().admit(3, Amounts())

    def test_replayed_scores_never_go_beyond_compute(self) -> None:
        meter, _, _ = meter_of(Limits(compute=7))
        with meter.flight() as flight:
            assert [flight.takes(3) for _ in range(4)] == [True, True, False, False]
            assert flight.refused
        meter, _, _ = meter_of(Limits(usd=0.0))
        with meter.flight() as flight:
            assert flight.takes(1_000), "only compute limits what is replayed"

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.integers(50, 100), min_size=1, max_size=40), st.integers(60, 3_000), st.integers(1, 16), st.data()
    )
    def test_attempts_at_once_go_beyond_a_limit_by_less_than_one(
        self, prices: list[int], limit: int, at_once: int, data: st.DataObject
    ) -> None:
        """Whatever they cost within a factor of two, and in whatever order they end."""
        naps = data.draw(st.lists(st.integers(0, 4), min_size=len(prices), max_size=len(prices)))
        meter, _, _ = meter_of(Limits(tokens=limit))
        spent: list[int] = []

        async def all_of_them() -> None:
            with meter.flight() as flight:

                async def one(item: tuple[int, int]) -> None:
                    ticket = flight.ticket()
                    try:
                        await ticket.admit(1, Amounts())
                    except LimitReached:
                        return
                    for _ in range(item[1]):
                        await asyncio.sleep(0)
                    spent.append(item[0])
                    ticket.landed(Amounts(attempts=1, tokens=item[0]))

                items = list(zip(prices, naps, strict=True))
                await flight.each(one, items, AsyncExecutor(at_once), attempts=1)

        asyncio.run(all_of_them())
        assert sum(spent) < limit + 100
        assert sum(spent) == sum(prices) or sum(spent) + 2 * 100 > limit, "it did not stop long before"
