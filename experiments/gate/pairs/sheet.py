"""A CSV or Parquet file as named columns of cells, each row with a name that a message can give."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Final, TextIO

from signatures.errors import UsageError

PARQUET_MAGIC: Final = b"PAR1"
Cells = Sequence[object]


@dataclass(frozen=True)
class Sheet:
    """The cells of a file, by column."""

    path: Path
    columns: dict[str, Cells]
    rows: Sequence[int]
    "line of a CSV file, or row of a Parquet file counted from 1"
    unit: str
    "line or row"

    def place(self, index: int) -> str:
        """`pairs.csv, line 7`."""
        return f"{self.path}, {self.unit} {self.rows[index]}"


def read_sheet(path: Path) -> Sheet:
    """The file at `path`; a CSV file has a header, commas and UTF-8 text, and its cells are text.

    Raises UsageError in one line: no such file, one that cannot be read, no row, a column twice, a row with more or
    fewer cells than the header.
    """
    try:
        data = path.read_bytes()  # once: a pipe cannot be read again
        if not data:
            raise UsageError(f"{path} is empty")
        columnar = data.startswith(PARQUET_MAGIC) or path.suffix == ".parquet"
        sheet = _parquet(path, data) if columnar else _csv(path, data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not sheet.rows:
        raise UsageError(f"{path} has no row below its header")
    return sheet


def _csv(path: Path, data: bytes) -> Sheet:
    try:
        return _rows(path, TextIOWrapper(BytesIO(data), encoding="utf-8-sig", newline=""))
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a CSV file in UTF-8: {error}") from error


def _rows(path: Path, file: TextIO) -> Sheet:
    reader = csv.reader(file, strict=True)
    header = [name.strip() for name in next(reader, [])]
    _refuse_twice(path, header)
    lines, rows = [], []
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            raise UsageError(f"{path}, line {reader.line_num}: {len(row)} cells, and the header has {len(header)}")
        lines.append(reader.line_num)
        rows.append(row)
    columns = zip(*rows, strict=True) if rows else ((),) * len(header)
    return Sheet(path, dict(zip(header, columns, strict=True)), lines, "line")


def _parquet(path: Path, data: bytes) -> Sheet:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            table = file.read()
            _refuse_twice(path, [name.strip() for name in table.column_names])
            columns = {name.strip(): table[name].to_pylist() for name in table.column_names}
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a Parquet file that can be read: {error}") from error
    return Sheet(path, columns, range(1, table.num_rows + 1), "row")


def _refuse_twice(path: Path, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{path}: column {twice[0]!r} is there twice")
