"""The bridge: a sync library in a thread, its episodes on the loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from optimizers.bridge import Bridge
from signatures.errors import BudgetExceeded

FLAVOUR: contextvars.ContextVar[str] = contextvars.ContextVar("FLAVOUR", default="none")


async def doubled(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def test_the_library_gets_its_answers_and_gives_its_result() -> None:
    bridge, home = Bridge(), threading.get_ident()
    seen: list[int] = []

    async def where() -> int:
        return threading.get_ident()

    def library() -> int:
        seen.extend((threading.get_ident(), bridge.call(where())))
        return sum(bridge.call(doubled(n)) for n in range(5))

    assert await bridge.run(library) == 20
    assert seen[0] != home and seen[1] == home


async def test_an_error_of_an_episode_comes_through_as_itself() -> None:
    bridge, error = Bridge(), BudgetExceeded("attempts: 3 asked, 2 left")

    async def refused() -> None:
        raise error

    with pytest.raises(BudgetExceeded) as caught:
        await bridge.run(lambda: bridge.call(refused()))
    assert caught.value is error


async def test_the_library_may_swallow_an_error_and_go_on() -> None:
    bridge = Bridge()

    async def refused() -> None:
        raise BudgetExceeded("no")

    def library() -> str:
        try:
            bridge.call(refused())
        except BudgetExceeded:
            return "went on"
        return "was not told"

    assert await bridge.run(library) == "went on"


async def test_context_variables_reach_the_library_and_its_episodes() -> None:
    bridge = Bridge()

    async def flavour() -> str:
        return FLAVOUR.get()

    FLAVOUR.set("plum")
    assert await bridge.run(lambda: (FLAVOUR.get(), bridge.call(flavour()))) == ("plum", "plum")


async def test_a_cancelled_run_cancels_its_work_and_ends_its_thread() -> None:
    bridge = Bridge()
    started, cancelled, refused, ended = asyncio.Event(), asyncio.Event(), threading.Event(), threading.Event()

    async def endless() -> None:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.set()

    def library() -> None:
        try:
            bridge.call(endless())
        except InterruptedError:
            try:
                bridge.call(doubled(1))
            except InterruptedError:
                refused.set()
                raise
        finally:
            ended.set()

    task = asyncio.create_task(bridge.run(library))
    await started.wait()
    task.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert bridge.closed and cancelled.is_set() and refused.is_set() and ended.is_set()


async def test_what_is_asked_after_the_end_is_refused() -> None:
    bridge = Bridge()
    await bridge.run(lambda: None)
    with pytest.raises(InterruptedError, match="cancelled"):
        bridge.call(doubled(1))


def test_a_bridge_is_made_on_the_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        Bridge()
