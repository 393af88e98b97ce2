"""Sealing: the journal's new rows become Parquet segments, in an order that no kill can spoil.

Each file is on disk under its name before the manifest's row that counts it, and the files it replaces are deleted
after. Of each kind at most the last segment is small (`Sizes.least_rows`): the next sealing rewrites it together with
the rows that came since. So a corpus that is sealed often is read as quickly as one that is sealed once.
"""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from controllers.corpus.columns import KINDS, Kind, table_of, united
from controllers.corpus.journal import SqliteCorpus
from controllers.corpus.manifest import MANIFEST, SEGMENT_NAME, Manifest, Mark, Segment, read_manifest, remedy
from controllers.corpus.schema import TABLES, AnyRecord
from controllers.corpus.segment_file import DRAFT, read_segment, write_segment
from controllers.durable import make_folder, sync_folder
from controllers.finishing import to_the_end
from controllers.jsonlog import JsonLog
from controllers.sqlite import store_errors
from signatures.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
BATCH: Final = 1_024
"""Records turned into columns at a time."""
LOCK: Final = ".lock"
LOCK_POLL_S: Final = 0.05
_TABLES: Final = {table.name: table for table in TABLES.values()}


@dataclass(frozen=True)
class Sizes:
    """How large segments become."""

    least_rows: int = 65_536
    "a segment with fewer rows is small: 244 files of 4,096 rows take several times as long to read as one"
    most_rows: int = 262_144
    "rows after which a segment is closed: what a sealing process holds in memory"


STANDARD: Final = Sizes()


@dataclass(frozen=True)
class Sealed:
    """What one sealing did, and what is sealed now."""

    folder: Path
    sealed_n: int
    "all tables are sealed up to this journal row"
    rows: Mapping[str, int]
    "kind -> rows sealed by this call"
    segments: int
    "segments in the folder"
    bytes: int
    "of all segments"


async def seal(corpus: SqliteCorpus, folder: Path, *, sizes: Sizes = STANDARD) -> Sealed:
    """Seal what the journal has that `folder` has not. Another process that seals there is waited for.

    Raises StoreError: a disk that refuses, a segment to go on from that is damaged, segments of another corpus.
    """
    with store_errors(folder, "seal"):
        make_folder(folder)
        async with _alone(folder):
            manifest = read_manifest(folder)
            for kind in KINDS:
                await _check_same_corpus(corpus, manifest, folder, kind)
            with closing(JsonLog(folder / MANIFEST)) as log:
                sync_folder(folder)
                return await _Sealing(folder, manifest, log, sizes).run(corpus)


@dataclass
class _Sealing:
    """One run over the journal, under the folder's lock."""

    folder: Path
    manifest: Manifest
    log: JsonLog
    sizes: Sizes
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))

    async def run(self, corpus: SqliteCorpus) -> Sealed:
        self._sweep()
        until = await corpus.high_water()
        for kind in KINDS:
            await self._seal(corpus, kind, until)
        if self.manifest.sealed_n != until:
            self.log.append(Mark(sealed_n=until).model_dump(mode="json"))
        segments = read_manifest(self.folder).segments
        return Sealed(self.folder, until, self.rows, len(segments), sum(segment.bytes for segment in segments))

    async def _seal(self, corpus: SqliteCorpus, kind: Kind, until: int) -> None:
        """Write the new rows of a kind, together with its last segment where that is small."""
        last = next(iter(self.manifest.of(kind)[-1:]), None)
        small = last if last is not None and last.rows < self.sizes.least_rows else None
        tables: list[pa.Table] = []
        async for table in _new_rows(corpus, kind, after=last.last_n if last else 0, until=until):
            # each to the end, even where the caller is cancelled: the work needs the lock
            if not tables and small is not None:
                tables = [await to_the_end(asyncio.to_thread(read_segment, self.folder, small))]
            tables.append(table)
            self.rows[kind] += table.num_rows
            if sum(one.num_rows for one in tables) >= self.sizes.most_rows:
                await to_the_end(asyncio.to_thread(self._write, kind, tables, small))
                tables, small = [], None
        if tables:
            await to_the_end(asyncio.to_thread(self._write, kind, tables, small))

    def _write(self, kind: Kind, tables: list[pa.Table], small: Segment | None) -> None:
        replaces = [small.file] if small else []
        segment = write_segment(self.folder, kind, united(kind, tables), replaces=replaces)
        self.log.append(segment.model_dump(mode="json"))
        for name in replaces:
            (self.folder / name).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Delete what a killed process left: drafts, segments that nothing counts or that were replaced."""
        live = {segment.file for segment in self.manifest.segments}
        for path in self.folder.iterdir():
            ours = path.name.endswith(DRAFT) or SEGMENT_NAME.fullmatch(path.name)
            if ours and path.name not in live:
                path.unlink()


async def _new_rows(corpus: SqliteCorpus, kind: Kind, *, after: int, until: int) -> AsyncIterator[pa.Table]:
    numbers: list[int] = []
    records: list[AnyRecord] = []
    async for n, record in corpus.numbered(_TABLES[kind], after=after, until=until):
        numbers.append(n)
        records.append(record)
        if len(records) == BATCH:
            yield table_of(kind, records, numbers=numbers)
            numbers, records = [], []
    if records:
        yield table_of(kind, records, numbers=numbers)


async def _check_same_corpus(corpus: SqliteCorpus, manifest: Manifest, folder: Path, kind: Kind) -> None:
    """Raise StoreError unless the journal holds, at the last sealed row, the record that was sealed."""
    for segment in manifest.of(kind)[-1:]:
        rows = corpus.numbered(_TABLES[kind], after=segment.last_n - 1, until=segment.last_n)
        if [record.id async for _, record in rows] != [segment.last_id]:
            raise StoreError(f"{folder}: was sealed from another corpus than {corpus.path}: {remedy(folder)}")


@asynccontextmanager
async def _alone(folder: Path) -> AsyncIterator[None]:
    """Hold the folder's lock, which the system takes back from a process that dies."""
    with (folder / LOCK).open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(LOCK_POLL_S)
        yield
