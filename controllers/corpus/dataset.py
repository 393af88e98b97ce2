"""A corpus as a folder of HF `datasets`, and back: the round trip keeps records, blobs and their order.

The folder is what `datasets.load_from_disk` reads: `attempts`, `decisions` and `episodes`, each with `n` (its place
among all records), the columns of its table and the record's whole `json`; and `blobs` with `digest` and `data`.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from controllers import Corpus
from controllers.corpus.blobs import checked
from controllers.corpus.schema import TABLES, AnyRecord, Table
from signatures.errors import StoreError, UsageError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, Features

BLOBS: Final = "blobs"
WHOLE: Final = "whole"
BATCH_ROWS: Final = 256
BATCH_BLOBS: Final = 32
"""Blobs held in memory at a time."""


class Exportable(Protocol):
    """What an export needs of a corpus; `SqliteCorpus` and `MemoryCorpus` have it."""

    def arrivals(self, *, until: int | None = None) -> AsyncIterator[AnyRecord]:
        """All records of all kinds in order of arrival."""

    def blob_digests(self) -> AsyncIterator[str]:
        """The digests of all blobs in order of arrival."""

    async def blob(self, digest: str) -> bytes:
        """The bytes with that digest."""


async def export_dataset(corpus: Exportable, folder: Path) -> None:
    """Write all of `corpus` to `folder`, which must not exist yet; it appears only when it is whole.

    Raises UsageError where something is in the way, StoreError where the corpus or the disk fails.
    """
    with _quiet(), _failures(f"{folder}: cannot export"), _appearing(folder) as scratch:
        tables = await _write_tables(corpus, scratch)
        shards = {name: None if len(part) else 1 for name, part in tables.items()}  # none at all cannot be loaded
        tables.save_to_disk(scratch / WHOLE, num_shards=shards)


async def import_dataset(folder: Path, corpus: Corpus) -> None:
    """Append all that `export_dataset` wrote to `folder`; what `corpus` holds already is passed over.

    Raises UsageError where `folder` is no such export, StoreError where it is damaged or contradicts the corpus.
    """
    tables = _load(folder)
    with _failures(f"{folder}: cannot import"):
        blobs = _blobs(tables[BLOBS])
        while batch := [checked(digest, data) for digest, data in islice(blobs, BATCH_BLOBS)]:
            await corpus.append(blobs=batch)
        numbered = [_numbered(table, tables[table.name]) for table in TABLES.values()]
        merged = heapq.merge(*numbered, key=lambda pair: pair[0])
        while records := [record for _, record in islice(merged, BATCH_ROWS)]:
            await corpus.append(*records)


def check_dataset(folder: Path) -> None:
    """Raise UsageError unless `folder` looks like an export; what is in it is checked by the import."""
    _load(folder)


async def _write_tables(corpus: Exportable, scratch: Path) -> DatasetDict:
    """One Arrow stream a table, written in batches, so that memory holds a batch of each."""
    from datasets import Dataset, DatasetDict
    from datasets.arrow_writer import ArrowWriter

    with ExitStack() as stack:

        def writer(name: str, features: Features) -> ArrowWriter:
            rows = BATCH_BLOBS if name == BLOBS else BATCH_ROWS
            opened = ArrowWriter(path=str(scratch / name), features=features, writer_batch_size=rows)
            stack.callback(opened.close)
            return opened

        writers = {name: writer(name, features) for name, features in _features().items()}
        n = 0
        async for record in corpus.arrivals():
            n += 1
            row = {"n": n, **_values(record), "json": record.model_dump_json()}
            writers[TABLES[type(record)].name].write(row)
        async for digest in corpus.blob_digests():
            writers[BLOBS].write({"digest": digest, "data": await corpus.blob(digest)})
        rows = {name: each.finalize()[0] for name, each in writers.items()}
    empty = {name: Dataset.from_dict({c: [] for c in part}, features=part) for name, part in _features().items()}
    # an Arrow stream without a batch cannot be opened as a dataset
    return DatasetDict({name: Dataset.from_file(str(scratch / name)) if rows[name] else empty[name] for name in rows})


def _features() -> dict[str, Features]:
    from datasets import Features, Value

    def features(columns: Mapping[str, str]) -> Features:
        return Features({column: Value(kind) for column, kind in columns.items()})

    tables = {table.name: features(_columns(table)) for table in TABLES.values()}
    return {**tables, BLOBS: features({"digest": "string", "data": "large_binary"})}


def _columns(table: Table) -> dict[str, str]:
    return {"n": "int64", **dict.fromkeys(("id", *table.columns), "string"), "json": "large_string"}


def _values(record: AnyRecord) -> dict[str, str | None]:
    return {name: getattr(record, name) for name in ("id", *TABLES[type(record)].columns)}


def _load(folder: Path) -> DatasetDict:
    from datasets import DatasetDict, load_from_disk

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    try:
        found = load_from_disk(folder)
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder}: is no folder of datasets: {error}") from error
    wanted = _features()
    if not isinstance(found, DatasetDict) or {name: part.features for name, part in found.items()} != wanted:
        raise UsageError(f"{folder}: is no exported corpus (wanted {', '.join(wanted)} with their columns)")
    return found


def _blobs(dataset: Dataset) -> Iterator[tuple[str, bytes]]:
    for rows in dataset.iter(batch_size=BATCH_BLOBS):
        yield from zip(rows["digest"], rows["data"], strict=True)


def _numbered(table: Table, dataset: Dataset) -> Iterator[tuple[int, AnyRecord]]:
    for rows in dataset.iter(batch_size=BATCH_ROWS):
        for n, json in zip(rows["n"], rows["json"], strict=True):
            yield n, table.parse(json)


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A scratch folder; what is put there under the name WHOLE becomes `folder` at the end. Raises UsageError."""
    if folder.exists():
        raise UsageError(f"{folder}: is in the way; name a folder that does not exist yet")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as name:
        yield Path(name)
        (Path(name) / WHOLE).rename(folder)


@contextmanager
def _failures(what: str) -> Iterator[None]:
    """pyarrow raises OSError and ValueError; Tiller's own errors pass."""
    try:
        yield
    except UsageError:
        raise
    except (OSError, ValueError) as error:
        raise StoreError(f"{what}: {error}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars, unless the caller had none already."""
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()
