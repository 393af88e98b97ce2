"""The corpus in an SQLite file: write-ahead log, synchronous=FULL, one group-commit writer, readers beside it.

`scan` filters by the columns that `schema.py` lists. Reads are short and done where they are asked for, because a
reader never waits for a writer; only large blobs, which are files, are read in a thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from controllers import RecordT
from controllers.corpus.blobs import SMALL_BYTES, Blob, BlobFolder, Packer, checked
from controllers.corpus.schema import HIGH_WATER, TABLES, AnyRecord, Table, connect, parse
from controllers.corpus.units import Row, Unit
from controllers.corpus.writer import GroupCommit
from controllers.sqlite import store_errors
from signatures.errors import StoreError

PAGE: Final = 256
"""Rows read at a time: about a millisecond of an event loop."""
_ARRIVALS: Final = " UNION ALL ".join(
    f"SELECT n, '{table.name}' AS kind, body FROM {table.name} WHERE n > ?1 AND n <= ?2" for table in TABLES.values()
)
_BY_NAME: Final = {table.name: table for table in TABLES.values()}


class SqliteCorpus:
    """A corpus at `path`, created where it is missing. Raises StoreError where it cannot be opened."""

    def __init__(self, path: Path | str, *, readonly: bool = False) -> None:
        self.path = Path(path)
        self._folder = BlobFolder(self.path)
        self._packer = Packer()
        self._lock = threading.Lock()
        self._writer = None if readonly else GroupCommit(self.path)
        with ExitStack() as unless_open:
            if self._writer:
                unless_open.callback(self._writer.close)
            self._db = connect(self.path, readonly=True)
            unless_open.pop_all()

    @classmethod
    def open_readonly(cls, path: Path | str) -> Self:
        """A corpus that exists, for reading only. Raises StoreError."""
        return cls(path, readonly=True)

    async def append(self, *records: AnyRecord, blobs: Iterable[bytes] = ()) -> None:
        """Return only when all records and blobs are durable together. Raises StoreError."""
        if self._writer is None:
            raise StoreError(f"{self.path}: is open for reading only")
        unit = Unit([Row.of(record) for record in records], [Blob.of(data) for data in blobs])
        if large := [blob for blob in unit.blobs if len(blob.data) >= SMALL_BYTES]:
            with store_errors(self.path, "append"):
                await asyncio.to_thread(self._folder.write, large)
        if unit.rows or unit.blobs:
            await self._writer.submit(unit)

    async def get(self, kind: type[RecordT], id: str) -> RecordT | None:
        """The record of that kind and id, or None. Raises StoreError."""
        found = self._read(f"SELECT body FROM {TABLES[kind].name} WHERE id = ?", id)
        return parse(kind, self._unpack(found[0][0], id)) if found else None

    async def scan(
        self, kind: type[RecordT], where: Mapping[str, str] | None = None, *, until: int | None = None
    ) -> AsyncIterator[RecordT]:
        """All records of a kind in order of arrival, up to the mark `until`, or up to now.

        `where` names columns and the values they must have. Raises StoreError, and UsageError for an unknown column.
        """
        table, where = TABLES[kind], where or {}
        table.check_columns(where)
        last = await self.high_water() if until is None else until
        async for page in self._pages(table, where, after=0, until=last):
            for _, id, body in page:
                yield parse(kind, self._unpack(body, id))

    async def numbered(self, table: Table, *, after: int = 0, until: int) -> AsyncIterator[tuple[int, AnyRecord]]:
        """The records of a table with their row numbers, from behind row `after` up to row `until`. Raises StoreError.

        Row numbers ascend in order of arrival, over all tables together.
        """
        async for page in self._pages(table, {}, after=after, until=until):
            for n, id, body in page:
                yield n, table.parse(self._unpack(body, id))

    async def arrivals(self, *, until: int | None = None) -> AsyncIterator[AnyRecord]:
        """All records of all kinds in order of arrival, up to the mark `until`, or up to now. Raises StoreError."""
        last = await self.high_water() if until is None else until
        for n in range(0, last, PAGE):
            for number, kind, body in self._read(f"{_ARRIVALS} ORDER BY n", n, min(n + PAGE, last)):
                yield _BY_NAME[kind].parse(self._unpack(body, f"row {number}"))
            await asyncio.sleep(0)

    async def high_water(self) -> int:
        """A mark of what is stored now: `scan(..., until=mark)` gives the same records ever after."""
        return int(self._read(HIGH_WATER)[0][0])

    async def blob(self, digest: str) -> bytes:
        """The bytes with that digest, checked against it. Raises StoreError."""
        found = self._read("SELECT body FROM blobs WHERE digest = ?", digest)
        if not found:
            raise StoreError(f"{self.path}: no blob {digest}")
        if found[0][0] is None:
            with store_errors(self.path, f"read blob {digest}"):
                return await asyncio.to_thread(self._folder.read, digest)
        return checked(digest, self._unpack(found[0][0], digest))

    async def blob_digests(self) -> AsyncIterator[str]:
        """The digests of all blobs in order of arrival. Raises StoreError."""
        n = 0
        while page := self._read(f"SELECT n, digest FROM blobs WHERE n > ? ORDER BY n LIMIT {PAGE}", n):
            for _, digest in page:
                yield digest
            n = page[-1][0]
            await asyncio.sleep(0)

    async def find(self, prefix: str, *, limit: int = 10) -> list[AnyRecord]:
        """At most `limit` records whose id starts with `prefix`, of any kind. Raises StoreError."""
        found: list[AnyRecord] = []
        for table in TABLES.values():
            sql = f"SELECT id, body FROM {table.name} WHERE id >= ?1 AND id < ?1 || char(1114111) ORDER BY id LIMIT ?2"
            rows = self._read(sql, prefix, limit - len(found))
            found += [table.parse(self._unpack(body, id)) for id, body in rows]
        return found

    def close(self) -> None:
        """Store what was submitted, then let go of the file. Twice is once."""
        self._db.close()
        if self._writer:  # last, so that it folds the log into the database
            self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _pages(
        self, table: Table, where: Mapping[str, str], *, after: int, until: int
    ) -> AsyncIterator[list[tuple[int, str, bytes]]]:
        condition = "".join(f" AND {name} = ?" for name in where)
        sql = f"SELECT n, id, body FROM {table.name} WHERE n > ? AND n <= ?{condition} ORDER BY n LIMIT {PAGE}"
        while page := self._read(sql, after, until, *where.values()):
            yield page
            if len(page) < PAGE:
                return
            after = page[-1][0]
            await asyncio.sleep(0)

    def _read(self, sql: str, *values: str | int) -> list[Any]:
        with self._lock, store_errors(self.path, "read"):
            return self._db.execute(sql, values).fetchall()

    def _unpack(self, body: bytes, what: str) -> bytes:
        with self._lock:
            return self._packer.unpack(body, f"{self.path}: {what}")
