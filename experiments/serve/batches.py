"""Writes of one SQLite file, gathered: while one transaction is on its way to the disk the next one fills.

The event loop never waits for the disk, and a hundred requests cost the disk what one does.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar

from controllers.sqlite import store_errors, transaction
from signatures.errors import StoreError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
Value = str | float | bytes | None
MOST: Final = 500
"""Items written together."""


class Gathered(Generic[ItemT, ResultT]):
    """Hands what many callers give to one `write` at a time, in a thread: all that waits, and a result for each.

    `write` returns when all is on disk, or raises StoreError and has written nothing: then each is tried alone, so that
    one that is refused does not refuse the others.
    """

    def __init__(self, write: Callable[[Sequence[ItemT]], Sequence[ResultT]], what: str) -> None:
        self._write = write
        self._what = what
        # A thread of its own, since what else runs in threads may take seconds. It ends with this object.
        self._thread = ThreadPoolExecutor(1)
        self._waiting: list[tuple[ItemT, asyncio.Future[ResultT]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def put(self, item: ItemT) -> ResultT:
        """Return when it is on disk. Raises StoreError. Cancelling the caller does not take it back."""
        future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._work())
        return await future

    async def settle(self) -> None:
        """Return when nothing is on its way any more."""
        while self._writing is not None:
            await self._writing

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                results: Sequence[ResultT | StoreError] = [StoreError(f"{self._what}: the writer was stopped")] * len(
                    batch
                )
                try:
                    results = await loop.run_in_executor(self._thread, self._tried, [item for item, _ in batch])
                finally:  # whatever happens, no caller waits for ever
                    _resolve([future for _, future in batch], results)
        finally:
            self._writing = None

    def _tried(self, items: Sequence[ItemT]) -> Sequence[ResultT | StoreError]:
        try:
            return self._write(items)
        except StoreError as error:
            if len(items) == 1 or error.retryable:  # a lock: the others would wait for it in vain as well
                return [StoreError(str(error), retryable=error.retryable) for _ in items]
        return [result for item in items for result in self._tried([item])]


class _Statement(NamedTuple):
    sql: str
    values: Sequence[Value]


class Batches:
    """The one writer of a connection."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self._gathered = Gathered(self._commit, str(path))

    async def run(self, sql: str, *values: Value) -> int:
        """Return how many rows the statement changed, once they are on disk. Raises StoreError."""
        return await self._gathered.put(_Statement(sql, values))

    async def settle(self) -> None:
        """Return when nothing is on its way any more."""
        await self._gathered.settle()

    def _commit(self, batch: Sequence[_Statement]) -> list[int]:
        with store_errors(self._path, "write"), transaction(self._db):
            return [self._db.execute(one.sql, one.values).rowcount for one in batch]


def _resolve(futures: Sequence[asyncio.Future[ResultT]], results: Sequence[ResultT | StoreError]) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.done():  # its caller was cancelled
            continue
        if isinstance(result, StoreError):
            future.set_exception(result)
        else:
            future.set_result(result)
