"""Writes of one SQLite file, gathered: while one transaction is on its way to the disk the next one fills.

The event loop never waits for the disk, and a hundred requests cost the disk what one does.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from controllers.sqlite import store_errors, transaction
from signatures.errors import StoreError

Value = str | float | bytes | None
MOST: Final = 500
"""Statements in one transaction."""


class _Waiting(NamedTuple):
    sql: str
    values: Sequence[Value]
    future: asyncio.Future[None]


class Batches:
    """The one writer of a connection. Statements that may collide say `ON CONFLICT`: an error fails its whole batch."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def run(self, sql: str, *values: Value) -> None:
        """Return when the statement is on disk. Raises StoreError. Cancelling the caller does not take it back."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(sql, values, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await future

    async def settle(self) -> None:
        """Return when nothing is on its way any more."""
        while self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                error: StoreError | None = StoreError(f"{self._path}: the writer was stopped")
                try:
                    error = await asyncio.to_thread(self._commit, batch)
                finally:  # whatever happens, no caller waits for ever
                    _resolve(batch, error)
        finally:
            self._writing = None

    def _commit(self, batch: Sequence[_Waiting]) -> StoreError | None:
        try:
            with store_errors(self._path, "write"), transaction(self._db):
                for one in batch:
                    self._db.execute(one.sql, one.values)
        except StoreError as error:
            return error
        return None


def _resolve(batch: Sequence[_Waiting], error: StoreError | None) -> None:
    for one in batch:
        if one.future.done():  # its caller was cancelled
            continue
        if error is None:
            one.future.set_result(None)
        else:
            one.future.set_exception(error)
