"""The bridge: sync libraries (gepa, MIPROv2, ReAnchor) run in a thread and call async episodes on the main loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Bridge:
    """Made on the event loop; `call` is for the other side, from the thread that `run` started."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.closed = False

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the loop and wait for it, in the library's thread. Errors come through unchanged.

        Raises InterruptedError once the run was cancelled, so that the library stops too.
        """
        if self.closed:
            work.close()
            raise InterruptedError("the run was cancelled")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def run(self, library: Callable[[], T]) -> T:
        """Run the library's blocking call in a thread, context variables and all."""
        try:
            return await asyncio.to_thread(library)
        finally:
            self.closed = True
