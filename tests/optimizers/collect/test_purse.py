"""The purse: nothing starts that could go beyond the limit, and what is done does not depend on who is quicker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.collect.purse import Purse, Work, dearest, spend, spent_on
from signatures.errors import UsageError, WorkerError
from signatures.records import Amounts, Attempt, Cost, Failure, Steer, WorkerFingerprint

ITEMS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(0, 3)), max_size=12)
"""(most, what is taken of it at most, how long it takes)"""


async def one(took: Amounts, naps: int, running: list[int]) -> Amounts:
    running.append(running[-1] + 1)
    for _ in range(naps):
        await asyncio.sleep(0)
    running.append(running[-1] - 1)
    return took


def works_of(items: Sequence[tuple[int, int, int]], running: list[int], *, usd: float | None = None) -> list[Work]:
    found = []
    for most, took, naps in items:
        attempts = min(most, took)
        spent = Amounts(attempts=attempts, usd=None if usd is None else attempts * usd)
        found.append(Work(most, partial(one, spent, naps, running)))
    return found


def expected(items: Sequence[tuple[int, int, int]], limit: int) -> tuple[list[bool], int]:
    """One after the other: what fits with all that it can take is done."""
    spent, done = 0, []
    for most, took, _ in items:
        done.append(spent + most <= limit)
        spent += min(most, took) if done[-1] else 0
    return done, spent


@settings(max_examples=80, deadline=None)
@given(items=ITEMS, limit=st.integers(0, 30), concurrency=st.integers(1, 5))
def test_what_is_done_is_what_fits_in_order_however_many_at_once(
    items: list[tuple[int, int, int]], limit: int, concurrency: int
) -> None:
    purse, running = Purse(Amounts(attempts=limit)), [0]
    done = asyncio.run(spend(works_of(items, running), purse, concurrency=concurrency))
    assert (done, purse.spent.attempts or 0) == expected(items, limit)
    assert (purse.spent.attempts or 0) <= limit
    assert max(running) <= concurrency


@settings(max_examples=80, deadline=None)
@given(items=ITEMS, limit=st.integers(0, 30), ticks=st.integers(0, 30), concurrency=st.integers(1, 5))
def test_a_run_that_is_killed_and_goes_on_does_what_an_uninterrupted_one_does(
    items: list[tuple[int, int, int]], limit: int, ticks: int, concurrency: int
) -> None:
    ended: dict[int, int] = {}

    async def kept(number: int, work: Work) -> Amounts:
        spent = await work.run()
        ended[number] = spent.attempts or 0
        return spent

    async def once(ticks: int | None) -> list[int]:
        purse = Purse(Amounts(attempts=limit))
        for spent in ended.values():
            purse.bill(Amounts(attempts=spent))
        works = {n: work for n, work in enumerate(works_of(items, [0])) if n not in ended}
        calls = [Work(work.most, partial(kept, n, work)) for n, work in works.items()]
        running = asyncio.create_task(spend(calls, purse, concurrency=concurrency))
        for _ in range(ticks or 0):
            await asyncio.sleep(0)
        if ticks is not None:
            running.cancel()
        await asyncio.wait([running])
        return [] if running.cancelled() else [n for n, done in zip(works, running.result(), strict=True) if done]

    asyncio.run(once(ticks))
    asyncio.run(once(None))
    whole, spent = expected(items, limit)
    assert sorted(ended) == [n for n, done in enumerate(whole) if done]
    assert sum(ended.values()) == spent


async def test_without_a_limit_all_is_done() -> None:
    purse = Purse(Amounts())
    assert await spend(works_of([(3, 3, 1)] * 5, [0]), purse, concurrency=2) == [True] * 5
    assert purse.spent.attempts == 15


async def test_money_is_reserved_before_it_is_spent() -> None:
    purse = Purse(Amounts(usd=1.0), attempt_usd=0.25)
    done = await spend(works_of([(3, 1, 1), (3, 2, 0), (2, 2, 0), (1, 1, 0)], [0], usd=0.25), purse, concurrency=4)
    assert done == [True, True, False, True]
    assert purse.spent.usd == 1.0


async def test_a_worker_that_does_not_say_what_it_cost_is_billed_what_was_reserved() -> None:
    purse = Purse(Amounts(usd=1.0), attempt_usd=0.5)
    assert await spend(works_of([(1, 1, 0)] * 4, [0]), purse, concurrency=1) == [True, True, False, False]
    assert purse.spent.usd == 1.0


async def test_what_was_dearer_than_thought_raises_what_is_reserved() -> None:
    purse = Purse(Amounts(usd=1.0), attempt_usd=0.1)
    assert await spend(works_of([(1, 1, 0)] * 3, [0], usd=0.45), purse, concurrency=1) == [True, True, False]


@pytest.mark.parametrize("price", [None, 0.0])
def test_a_limit_on_money_needs_a_price(price: float | None) -> None:
    with pytest.raises(UsageError, match=r"max_usd needs attempt_usd=\.\.\."):
        Purse(Amounts(usd=1.0), attempt_usd=price)


async def test_the_first_error_stops_the_rest() -> None:
    async def fails() -> Amounts:
        raise WorkerError("gone")

    running = [0]
    works = [Work(1, fails), *works_of([(1, 1, 50)] * 4, running)]
    with pytest.raises(WorkerError, match="gone"):
        await spend(works, Purse(Amounts()), concurrency=2)
    assert max(running) <= 1


async def test_each_finished_work_is_a_step() -> None:
    steps: list[None] = []
    await spend(
        works_of([(2, 1, 0)] * 3, [0]), Purse(Amounts(attempts=5)), concurrency=1, step=lambda: steps.append(None)
    )
    assert len(steps) == 3


def an_attempt(*, usd: float | None = None, steer_usd: float | None = None, failed: bool = False) -> Attempt:
    failure = Failure(error="WorkerError", message="gone", where="worker") if failed else None
    return Attempt(
        id="a",
        episode_id="e",
        round=0,
        index=0,
        task_digest="t",
        benchmark="b",
        worker=WorkerFingerprint(name="w"),
        steer=Steer(),
        outcome="infra_error" if failed else "ok",
        failure=failure,
        cost=Cost(usd=usd),
        steer_cost=Cost(usd=steer_usd),
    )


def test_attempts_cost_what_they_and_their_steers_cost() -> None:
    attempts = [an_attempt(usd=1.0, steer_usd=0.5), an_attempt(), an_attempt(usd=0.25, failed=True)]
    assert spent_on(attempts) == Amounts(attempts=2, usd=1.75)
    assert spent_on([an_attempt()]) == Amounts(attempts=1, usd=None)
    assert dearest(attempts) == 1.5
    assert dearest([an_attempt()]) is None
