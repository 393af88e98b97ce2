"""Cells by column from CSV and Parquet, and one clear line for a file that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments.gate.pairs.sheet import read_sheet
from signatures.errors import UsageError


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_csv_file_is_text_by_column_with_its_lines(tmp_path: Path) -> None:
    sheet = read_sheet(written(tmp_path / "p.csv", b'\xef\xbb\xbftask, baseline\r\n007,1\r\n\r\n"a\nb",x\r\n'))
    assert {name: list(cells) for name, cells in sheet.columns.items()} == {
        "task": ["007", "a\nb"],
        "baseline": ["1", "x"],
    }
    assert sheet.place(0) == f"{tmp_path / 'p.csv'}, line 2"
    assert list(sheet.rows) == [2, 5]


def test_a_parquet_file_keeps_its_types_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "pairs"
    pq.write_table(pa.table({"task": ["a", None], "baseline": [1.0, 0.5]}), path)
    sheet = read_sheet(path)
    assert sheet.columns == {"task": ["a", None], "baseline": [1.0, 0.5]}
    assert sheet.place(1).endswith("pairs, row 2")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("p.csv", b"", "is empty"),
        ("p.csv", b"\n", "no row"),
        ("p.csv", b"task,baseline\n", "no row"),
        ("p.csv", b"task,task\na,b\n", "'task' is there twice"),
        ("p.csv", b"task,baseline\na,1\nb\n", "line 3: 1 cells, and the header has 2"),
        ("p.csv", b"task,baseline\na,1,2\n", "line 2: 3 cells"),
        ("p.csv", b"task,baseline\n\xff,1\n", "UTF-8"),
        ("p.csv", b'task,baseline\n"a"b,1\n', "not a CSV file"),
        ("p.csv", b'task,baseline\n"a,1\n', "not a CSV file"),
        ("p.parquet", b"task,baseline\na,1\n", "not a Parquet file"),
        ("p.csv", b"PAR1 and then nothing", "not a Parquet file"),
        ("p.parquet", b"", "is empty"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_sheet(written(tmp_path / name, data))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_sheet(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_sheet(tmp_path)


def test_an_empty_parquet_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"task": pa.array([], pa.string())}), path)
    with pytest.raises(UsageError, match="no row"):
        read_sheet(path)
