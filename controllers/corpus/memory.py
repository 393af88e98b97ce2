"""The corpus in memory: the same contract with nothing on disk, for tests and dry runs."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Self

from controllers import RecordT
from controllers.corpus.blobs import Blob
from controllers.corpus.schema import TABLES, AnyRecord
from controllers.corpus.units import refuse_other
from signatures.errors import StoreError


class MemoryCorpus:
    """A corpus that ends with this object."""

    def __init__(self) -> None:
        self._log: list[AnyRecord] = []
        self._by_id: dict[tuple[type, str], AnyRecord] = {}
        self._by_column: defaultdict[tuple[type, str, str | None], list[int]] = defaultdict(list)
        self._blobs: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._closed = False

    async def append(self, *records: AnyRecord, blobs: Iterable[bytes] = ()) -> None:
        """Keep all records and blobs, or none. Raises StoreError."""
        with self._lock:
            if self._closed:
                raise StoreError("this corpus is closed")
            fresh: dict[tuple[type, str], AnyRecord] = {}
            for record in records:
                key = (type(record), record.id)
                stored = self._by_id.get(key) or fresh.setdefault(key, record)
                refuse_other(stored, record)
            self._by_id |= fresh
            for record in fresh.values():
                self._add(record)
            self._blobs |= {blob.digest: blob.data for blob in map(Blob.of, blobs)}

    async def get(self, kind: type[RecordT], id: str) -> RecordT | None:
        """The record of that kind and id, or None."""
        found = self._by_id.get((kind, id))
        return found if isinstance(found, kind) else None

    async def scan(
        self, kind: type[RecordT], where: Mapping[str, str] | None = None, *, until: int | None = None
    ) -> AsyncIterator[RecordT]:
        """As `SqliteCorpus.scan`. Raises UsageError for an unknown column."""
        where = where or {}
        TABLES[kind].check_columns(where)
        last = len(self._log) if until is None else until
        wanted = where or {"": ""}
        lists = [self._by_column.get((kind, name, value), []) for name, value in wanted.items()]
        shortest = min(lists, key=len)
        for record in [self._log[index] for index in shortest if index < last]:
            if isinstance(record, kind) and all(getattr(record, name) == value for name, value in where.items()):
                yield record

    async def arrivals(self, *, until: int | None = None) -> AsyncIterator[AnyRecord]:
        """As `SqliteCorpus.arrivals`."""
        for record in self._log[: len(self._log) if until is None else until]:
            yield record

    async def high_water(self) -> int:
        """As `SqliteCorpus.high_water`."""
        return len(self._log)

    async def blob(self, digest: str) -> bytes:
        """The bytes with that digest. Raises StoreError."""
        if digest not in self._blobs:
            raise StoreError(f"no blob {digest}")
        return self._blobs[digest]

    async def blob_digests(self) -> AsyncIterator[str]:
        """As `SqliteCorpus.blob_digests`."""
        for digest in list(self._blobs):
            yield digest

    def _add(self, record: AnyRecord) -> None:
        index, kind = len(self._log), type(record)
        self._log.append(record)
        for name in ("id", *TABLES[kind].columns):
            self._by_column[kind, name, getattr(record, name)].append(index)
        self._by_column[kind, "", ""].append(index)

    def close(self) -> None:
        """Refuse further appends."""
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
