"""One segment's Parquet file: how it is written so that a crash leaves nothing half, and read so that damage is seen.

Parquet's checksums cover the data of a page, not its header, where a changed byte can make other data of it: so the
manifest has a checksum of all bytes of each column, which is compared whenever the column is read, one of the file's
end, and one of the whole file. lz4 with dictionaries is read as quickly as no compression at half its size, and 1.5
times as quickly as zstd; mapping the file into memory gained nothing measurable (`bench/segments.py`).
"""

from __future__ import annotations

import hashlib
import os
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controllers.corpus.columns import Kind
from controllers.corpus.manifest import Segment, remedy
from controllers.durable import sync_folder
from controllers.sqlite import store_errors
from signatures.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

COMPRESSION: Final = "lz4"
ROW_GROUP_ROWS: Final = 262_144
NOT_REPEATED: Final = frozenset({"n", "id", "parent_id", "selected_id", "wall_s"})
"""Columns whose values hardly repeat: a dictionary of them would be built for nothing."""
TAIL: Final = 8
"""A Parquet file ends with the footer's length (4 bytes) and `PAR1`."""
DRAFT: Final = ".draft"

_Layout = dict[str, list[tuple[int, int]]]
"""Column -> where its bytes are in the file: a first byte and a length per row group."""


def write_segment(folder: Path, kind: Kind, table: pa.Table, *, replaces: Sequence[str] = ()) -> Segment:
    """Write rows with journal numbers, ascending, to a file of their own; return when it is durable under its name.

    Nothing counts it yet: that is for its row in the manifest. Raises StoreError.
    """
    first, last = table["n"][0].as_py(), table["n"][-1].as_py()
    final = folder / f"{kind}-{first:012}-{last:012}.parquet"
    draft = folder / f".{uuid.uuid4().hex}{DRAFT}"
    with store_errors(final, "seal"):
        try:
            _write(draft, table)
            size, sha256 = draft.stat().st_size, _sha256(draft)
            footer, columns = _footer_crc32(draft), _column_crc32s(draft, _layout(draft))
            draft.replace(final)
        finally:
            draft.unlink(missing_ok=True)  # gone already where it got its name
        sync_folder(folder)
    return Segment(
        file=final.name,
        kind=kind,
        first_n=first,
        last_n=last,
        last_id=table["id"][-1].as_py(),
        rows=table.num_rows,
        bytes=size,
        sha256=sha256,
        footer_crc32=footer,
        column_crc32=columns,
        replaces=tuple(replaces),
    )


def read_segment(
    folder: Path, segment: Segment, columns: Sequence[str] | None = None, *, until: int | None = None
) -> pa.Table:
    """Those of the columns that the file has (None: all), of the rows up to journal row `until`; maybe `n`, too.

    Raises StoreError naming the file where it is missing, torn or was edited: its size, its end and all bytes that are
    read are looked at.
    """
    import pyarrow.parquet as pq

    cut = until is not None and until < segment.last_n
    with _damage(folder, segment):
        _check_outside(folder / segment.file, segment)
        with pq.ParquetFile(folder / segment.file, page_checksum_verification=True) as file:
            held = file.schema_arrow.names
            chosen = held if columns is None else [name for name in held if name in columns]
            if "n" not in chosen and (cut or not chosen):
                chosen = [*chosen, "n"]
            _check_columns(folder / segment.file, segment, _layout_of(file, chosen))
            table = file.read(chosen)
        if table.num_rows != segment.rows:
            raise ValueError(f"holds {table.num_rows} rows, not {segment.rows}")
    return table.slice(0, int(table["n"].to_numpy().searchsorted(until, side="right"))) if cut else table


def check_segment(folder: Path, segment: Segment) -> None:
    """Look at every byte. Raises StoreError naming the file where it is not what was sealed."""
    with _damage(folder, segment):
        _check_outside(folder / segment.file, segment)
        if _sha256(folder / segment.file) != segment.sha256:
            raise ValueError("its SHA-256 is not the one that was sealed: it was edited or is damaged")


@contextmanager
def _damage(folder: Path, segment: Segment) -> Iterator[None]:
    """Map what pyarrow and the file system raise over a file that is not what was sealed to StoreError."""
    import pyarrow as pa

    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        why = " ".join(str(error).split())
        raise StoreError(
            f"{folder / segment.file}: the segment cannot be read: {why}; the rows before journal row "
            f"{segment.first_n} are readable (Segments(...).intact()), or {remedy(folder)}"
        ) from error


def _check_outside(path: Path, segment: Segment) -> None:
    if not path.exists():
        raise ValueError("the file is missing")
    if (size := path.stat().st_size) != segment.bytes:
        raise ValueError(f"the file has {size:,} bytes, not {segment.bytes:,}: it is torn or was edited")
    if _footer_crc32(path) != segment.footer_crc32:
        raise ValueError("the end of the file was edited or is damaged")


def _check_columns(path: Path, segment: Segment, layout: _Layout) -> None:
    for name, crc in _column_crc32s(path, layout).items():
        if crc != segment.column_crc32.get(name):
            raise ValueError(f"column {name} was edited or is damaged")


def _layout(path: Path) -> _Layout:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return _layout_of(file, file.schema_arrow.names)


def _layout_of(file: pq.ParquetFile, columns: Sequence[str]) -> _Layout:
    """Where these columns are. None of ours is nested so deep that it would have two leaves."""
    layout: _Layout = {}
    for place, name in enumerate(file.schema_arrow.names):
        if name in columns:
            groups = (file.metadata.row_group(index) for index in range(file.metadata.num_row_groups))
            layout[name] = [_extent(group.column(place)) for group in groups]
    return layout


def _extent(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    first = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
    return min(first, chunk.data_page_offset), chunk.total_compressed_size


def _column_crc32s(path: Path, layout: _Layout) -> dict[str, int]:
    """One checksum a column, over its bytes in all row groups."""
    found = {}
    with path.open("rb") as file:
        for name, extents in layout.items():
            crc = 0
            for first, size in extents:
                file.seek(first)
                crc = zlib.crc32(file.read(size), crc)
            found[name] = crc
    return found


def _write(path: Path, table: pa.Table) -> None:
    import pyarrow.parquet as pq

    repeated = [name for name in table.column_names if name not in NOT_REPEATED]
    with path.open("xb") as file:
        pq.write_table(
            table,
            file,
            compression=COMPRESSION,
            use_dictionary=repeated,
            row_group_size=ROW_GROUP_ROWS,
            data_page_version="1.0",
            write_page_checksum=True,
            write_statistics=False,
        )
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _footer_crc32(path: Path) -> int:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL))
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, size - TAIL - length))
        return zlib.crc32(file.read())
