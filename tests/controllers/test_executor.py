from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.executor import AsyncExecutor, together
from controllers.loop import run_episode
from controllers.spec import Rollout
from signatures.errors import Outage, UsageError
from signatures.records import Task
from tests.controllers.parts import Climber, a_spec, a_task, climbing, parts_of, rules


@given(st.lists(st.integers(0, 5), max_size=12), st.integers(1, 6))
def test_results_come_in_the_order_of_the_items(items: list[int], concurrency: int) -> None:
    async def slower_for_more(item: int) -> int:
        for _ in range(item):
            await asyncio.sleep(0)
        return item * item

    found = asyncio.run(AsyncExecutor(concurrency).map(slower_for_more, items))
    assert found == [item * item for item in items]


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_no_more_run_at_once_than_allowed(concurrency: int) -> None:
    running: list[int] = []
    most = 0

    async def run(item: int) -> None:
        nonlocal most
        running.append(item)
        most = max(most, len(running))
        await asyncio.sleep(0)
        running.remove(item)

    await AsyncExecutor(concurrency).map(run, range(9))
    assert most == concurrency


async def test_the_first_error_cancels_the_rest_and_comes_out_bare() -> None:
    cancelled: list[int] = []
    started: list[int] = []

    async def run(item: int) -> int:
        started.append(item)
        if item == 2:
            raise Outage("the provider is down")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(item)
            raise
        return item

    with pytest.raises(Outage, match="provider is down"):
        await AsyncExecutor(4).map(run, range(50))
    assert sorted(cancelled) == sorted(set(started) - {2})
    assert max(started) <= 4  # the place of the one that failed may be taken before the others hear of it


async def test_an_error_of_calls_launched_together_comes_out_bare_too() -> None:
    async def fine() -> int:
        return 1

    async def wrong() -> int:
        raise ValueError("wrong")

    assert await together([fine(), fine()]) == [1, 1]
    with pytest.raises(ValueError, match=r"^wrong$"):
        await together([fine(), wrong()])


async def test_a_cancelled_map_cancels_what_runs() -> None:
    ended: list[str] = []

    async def run(item: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    mapping = asyncio.create_task(AsyncExecutor(2).map(run, range(2)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    mapping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await mapping
    assert ended == ["ended", "ended"]


@pytest.mark.parametrize("concurrency", [0, -1])
def test_no_concurrency_at_all_is_refused(concurrency: int) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        AsyncExecutor(concurrency)


async def test_episodes_are_the_same_whatever_the_concurrency() -> None:
    candidate = climbing(
        stop=rules({"continue": 3.0, "done": 1.0}),
        topology=rules({"fanout_1": 1.0, "fanout_2": 1.0, "refine_last": 2.0}),
        steer=rules({"up": 1.0, "placebo": 1.0}),
    )

    async def yielding(call: int) -> None:
        for _ in range(call % 4):
            await asyncio.sleep(0)

    async def played(concurrency: int) -> list[str]:
        parts = parts_of(Climber(before=yielding), candidate=candidate)

        async def play(task: Task) -> Rollout:
            return await run_episode(a_spec(task=task, attempts=4, turns=10, each=4, steers=("up", "placebo")), parts)

        rollouts = await AsyncExecutor(concurrency).map(play, [a_task(str(n)) for n in range(12)])
        return [one.episode.content_digest() for one in rollouts]

    alone = await played(1)
    assert len(set(alone)) == 12
    assert alone == await played(5) == await played(50)
