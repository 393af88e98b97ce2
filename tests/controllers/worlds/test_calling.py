"""A session is called as it wants to be: at once, or so that others go on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from controllers.worlds.calling import called
from controllers.worlds.granted import granted
from tests.controllers.worlds.test_granted import Counter


class Slow(Counter):
    """A session that answers when somebody else has been heard."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    async def acall(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        await self.heard.wait()
        return self.call(f"slow {tool}", arguments)


async def test_a_session_that_does_not_wait_is_called_at_once() -> None:
    world = Counter()
    assert await called(world, "press", {}) == ("press", False)
    assert await called(granted(world, ("look",)).session("d", None), "look", {}) == ("look", False)
    assert world.calls == 2


async def test_others_go_on_while_a_session_waits_granted_or_not() -> None:
    for names in (None, ("press",)):
        world = Slow()
        asked = asyncio.create_task(called(granted(world, names).session("d", None), "press", {}))
        await asyncio.sleep(0)
        assert world.calls == 0
        world.heard.set()
        assert await asked == ("slow press", False)


async def test_what_is_not_granted_is_refused_without_waiting() -> None:
    world = Slow()
    session = granted(world, ("press",)).session("d", None)
    assert await called(session, "look", {}) == ("the tool look is not granted to this attempt", True)
    assert world.calls == 0
