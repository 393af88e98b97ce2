"""The bridge: sync libraries (gepa, MIPROv2, ReAnchor) run in a thread and call async episodes on the main loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Bridge:
    """Made on the event loop; `call` is for the other side, from the thread that `run` started."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: concurrent.futures.Future[Any] | None = None
        self.closed = False

    def call(self, work: Coroutine[object, None, T]) -> T:
        """Run `work` on the loop and wait for it, in the library's thread. Errors come through unchanged.

        Raises InterruptedError once the run was cancelled, so that the library stops too.
        """
        if self.closed:
            work.close()
            raise InterruptedError("the run was cancelled")
        self._pending = pending = asyncio.run_coroutine_threadsafe(work, self._loop)
        if self.closed:  # closed between the check and here: whoever closed it saw the work before
            pending.cancel()
        try:
            return pending.result()
        except concurrent.futures.CancelledError as error:
            raise InterruptedError("the run was cancelled") from error

    async def run(self, library: Callable[[], T]) -> T:
        """Run the library's blocking call in a thread, context variables and all.

        When this is cancelled, the work that the library waits for is cancelled too, and the thread is waited for:
        nothing of it outlives the call.
        """
        job = asyncio.ensure_future(asyncio.to_thread(library))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            self.closed = True
            if self._pending is not None:
                self._pending.cancel()
            await asyncio.wait([job])
            if not job.cancelled():
                job.exception()
            raise
        finally:
            self.closed = True
