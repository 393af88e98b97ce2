"""Group commit: one thread makes what many callers append durable, a batch at a time, with one fsync a batch.

While one batch is on its way to the disk the next one gathers, so that a hundred callers cost the disk what one does.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

from controllers.corpus.blobs import Packer
from controllers.corpus.schema import connect
from controllers.corpus.units import Fate, Unit, store
from controllers.sqlite import store_errors
from signatures.errors import StoreError

BATCH_UNITS: Final = 512
"""Units committed together at most."""
BATCH_BYTES: Final = 16 * 2**20
"""Raw bytes after which a batch takes no further unit."""


class _Waiting(NamedTuple):
    unit: Unit
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]


class GroupCommit:
    """The one writer of a corpus in this process. Any thread and any event loop may submit."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = connect(path)
        self._packer = Packer()
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended: str | None = None

    async def submit(self, unit: Unit) -> None:
        """Return when the unit is durable. Raises StoreError. Cancelling the caller does not take the unit back."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._gate:
            if self._ended:
                raise StoreError(f"{self._path}: {self._ended}")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"corpus {self._path}", daemon=True)
                self._thread.start()
            self._queue.put(_Waiting(unit, loop, future))
        await future

    def close(self) -> None:
        """Wait until all that was submitted is stored, then end the thread and close the file. Twice is once."""
        with self._gate:
            self._ended = self._ended or "is closed"
            self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
        self._db.close()

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                self._store(batch)
        finally:
            self._refuse_rest()

    def _next_batch(self) -> list[_Waiting]:
        """What has gathered, waiting for the first; empty once the corpus is closed and all is stored."""
        waiting = self._queue.get()
        batch: list[_Waiting] = []
        size = 0
        while waiting is not None:
            batch.append(waiting)
            size += waiting.unit.size
            if len(batch) >= BATCH_UNITS or size >= BATCH_BYTES or self._queue.empty():
                return batch
            waiting = self._queue.get()
        if batch:
            self._queue.put(None)  # the end is for the next call
        return batch

    def _store(self, batch: Sequence[_Waiting]) -> None:
        fates: Sequence[Fate] = self._refusals("the writer broke down", batch)
        try:
            fates = self._fates([waiting.unit for waiting in batch])
        finally:  # whatever happens, no caller waits for ever
            _settle(batch, fates)

    def _fates(self, units: Sequence[Unit]) -> list[Fate]:
        """What became of each unit. A batch that fails as a whole is tried again unit by unit."""
        try:
            with store_errors(self._path, "append"):
                return store(self._db, self._packer, units)
        except StoreError as error:
            if len(units) == 1:
                return [error]
            if error.retryable:  # a lock: the others would wait for it in vain as well
                return [StoreError(str(error), retryable=True) for _ in units]
        return [fate for unit in units for fate in self._fates([unit])]

    def _refuse_rest(self) -> None:
        with self._gate:
            self._ended = self._ended or "the writer broke down"
        rest = []
        while not self._queue.empty():
            if waiting := self._queue.get():
                rest.append(waiting)
        _settle(rest, self._refusals(self._ended, rest))

    def _refusals(self, why: str, batch: Sequence[_Waiting]) -> list[StoreError]:
        return [StoreError(f"{self._path}: {why}") for _ in batch]


def _settle(batch: Sequence[_Waiting], fates: Sequence[Fate]) -> None:
    """Tell the callers, with one call into each event loop."""
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[None], Fate]]] = defaultdict(list)
    for waiting, fate in zip(batch, fates, strict=True):
        by_loop[waiting.loop].append((waiting.future, fate))
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, settled)
        except RuntimeError:
            if not loop.is_closed():
                raise


def _resolve(settled: Sequence[tuple[asyncio.Future[None], Fate]]) -> None:
    for future, fate in settled:
        if future.done():  # its caller was cancelled
            continue
        if fate is None:
            future.set_result(None)
        else:
            future.set_exception(fate)
