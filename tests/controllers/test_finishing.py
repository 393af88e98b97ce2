"""What was begun is waited for; by order of events, not by the clock."""

from __future__ import annotations

import asyncio

import pytest

from controllers.finishing import to_the_end


async def test_value_and_error_come_out_as_they_are() -> None:
    async def work(bad: bool) -> int:
        await asyncio.sleep(0)
        if bad:
            raise ValueError("no")
        return 3

    assert await to_the_end(work(False)) == 3
    with pytest.raises(ValueError, match="no"):
        await to_the_end(work(True))


@pytest.mark.parametrize("bad", [False, True], ids=["a value", "an error"])
async def test_the_cancelled_ends_when_the_work_has(bad: bool) -> None:
    events: list[str] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        events.append("work ended")
        if bad:
            raise ValueError("nobody is told")

    async def caller() -> None:
        try:
            await to_the_end(work())
        finally:
            events.append("caller ended")

    calling = asyncio.create_task(caller())
    await begun.wait()
    calling.cancel()
    await asyncio.sleep(0)
    events.append("cancelled")
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert events == ["cancelled", "work ended", "caller ended"]
