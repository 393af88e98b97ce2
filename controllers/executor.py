"""How episodes are launched: one small protocol, and asyncio in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Protocol, TypeVar

from signatures.errors import UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """Runs one function over many items. Results come back in the order of the items, whatever finished first."""

    async def map(self, run: Callable[[Item], Awaitable[Result]], items: Sequence[Item]) -> list[Result]:
        """All results; the first error raised cancels what has not finished."""


class AsyncExecutor:
    """At most `concurrency` episodes at once on this event loop."""

    def __init__(self, concurrency: int = 32) -> None:
        if concurrency < 1:
            raise UsageError(f"concurrency must be at least 1, not {concurrency}")
        self.concurrency = concurrency

    async def map(self, run: Callable[[Item], Awaitable[Result]], items: Sequence[Item]) -> list[Result]:
        """As the protocol says: index order, first error cancels the rest."""
        gate = asyncio.Semaphore(self.concurrency)

        async def one(item: Item) -> Result:
            async with gate:
                return await run(item)

        return await together([one(item) for item in items])


async def together(calls: Sequence[Coroutine[None, None, Result]]) -> list[Result]:
    """All results in order of the calls; the first error raised cancels the others and comes out bare."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        raise _first(errors) from errors
    return [task.result() for task in tasks]


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
