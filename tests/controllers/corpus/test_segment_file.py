"""A segment is read as it was written, or refused by name: no changed byte is read as other data."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from controllers.corpus.columns import table_of
from controllers.corpus.manifest import Segment
from controllers.corpus.segment_file import check_segment, read_segment, write_segment
from controllers.testing import a_decision, an_attempt
from signatures.errors import StoreError

NUMBERS = range(2, 200, 3)
ATTEMPTS = table_of("attempts", [an_attempt(n, wall_s=n / 7) for n in NUMBERS], numbers=NUMBERS)


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    return write_segment(tmp_path, "attempts", ATTEMPTS, replaces=["older"])


def test_what_was_written_is_read(tmp_path: Path, segment: Segment) -> None:
    assert read_segment(tmp_path, segment).equals(ATTEMPTS)
    assert [file.name for file in tmp_path.iterdir()] == [segment.file]
    assert (tmp_path / segment.file).stat().st_size == segment.bytes
    assert segment.file == "attempts-000000000002-000000000197.parquet"
    assert (segment.first_n, segment.last_n, segment.rows) == (2, 197, len(NUMBERS))
    assert segment.last_id == ATTEMPTS["id"].to_pylist()[-1]
    assert segment.replaces == ("older",)
    check_segment(tmp_path, segment)


def test_lists_and_features_are_read_as_they_were(tmp_path: Path) -> None:
    names = ("untried", "untried.a")
    records = [a_decision(n).model_copy(update={"features": {names[n % 2]: float(n)}}) for n in range(1, 40)]
    table = table_of("decisions", records, numbers=range(1, 40))
    segment = write_segment(tmp_path, "decisions", table)
    assert read_segment(tmp_path, segment).equals(table)
    assert read_segment(tmp_path, segment, ["feature.untried"]).equals(table.select(["feature.untried"]))


def test_only_the_columns_asked_for_are_read(tmp_path: Path, segment: Segment) -> None:
    assert read_segment(tmp_path, segment, ["value.fast", "action"]).equals(ATTEMPTS.select(["action", "value.fast"]))
    assert read_segment(tmp_path, segment, ["value.never"]).num_rows == len(NUMBERS)


@pytest.mark.parametrize(("until", "rows"), [(1, 0), (2, 1), (4, 1), (5, 2), (196, 65), (197, 66), (999, 66)])
def test_rows_end_where_they_shall(tmp_path: Path, segment: Segment, until: int, rows: int) -> None:
    assert read_segment(tmp_path, segment, until=until).equals(ATTEMPTS.slice(0, rows))
    assert read_segment(tmp_path, segment, ["id"], until=until)["id"].to_pylist() == ATTEMPTS["id"].to_pylist()[:rows]


def test_the_same_rows_make_the_same_file(tmp_path: Path, segment: Segment) -> None:
    assert write_segment(tmp_path, "attempts", ATTEMPTS, replaces=["older"]) == segment


def test_no_changed_byte_is_read_as_other_data(tmp_path: Path, segment: Segment) -> None:
    path = tmp_path / segment.file
    whole = path.read_bytes()
    draw = random.Random(0)
    for place in range(draw.randrange(7), len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :])
        with pytest.raises(StoreError, match=r"SHA-256|end of the file"):
            check_segment(tmp_path, segment)
        if place < len(b"PAR1"):  # belongs to no column
            continue
        with pytest.raises(StoreError, match=f"^{path}: the segment cannot be read"):
            read_segment(tmp_path, segment)


def test_a_column_that_is_not_read_does_not_stand_in_the_way(tmp_path: Path, segment: Segment) -> None:
    path = tmp_path / segment.file
    data = bytearray(path.read_bytes())
    data[data.index(ATTEMPTS["id"][3].as_py().encode())] ^= 1
    path.write_bytes(data)
    assert read_segment(tmp_path, segment, ["action"]).equals(ATTEMPTS.select(["action"]))
    with pytest.raises(StoreError, match="column id was edited or is damaged"):
        read_segment(tmp_path, segment, ["action", "id"])


@pytest.mark.parametrize("size", [0, 4, 1000, -1])
def test_a_torn_file_is_named(tmp_path: Path, segment: Segment, size: int) -> None:
    path = tmp_path / segment.file
    path.write_bytes(path.read_bytes()[:size])
    for look in (read_segment, check_segment):
        with pytest.raises(StoreError, match=rf"{path}: the segment cannot be read: the file has .* it is torn"):
            look(tmp_path, segment)


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path, segment: Segment) -> None:
    (tmp_path / segment.file).unlink()
    with pytest.raises(StoreError) as refused:
        read_segment(tmp_path, segment)
    first, *rest = str(refused.value).split("; ")
    assert first == f"{tmp_path / segment.file}: the segment cannot be read: the file is missing"
    assert rest == [
        "the rows before journal row 2 are readable (Segments(...).intact()), or "
        f"remove the folder {tmp_path} and seal again: the corpus itself holds all of it"
    ]


def test_a_file_of_other_rows_is_refused(tmp_path: Path, segment: Segment) -> None:
    with pytest.raises(StoreError, match="holds 66 rows, not 67"):
        read_segment(tmp_path, segment.model_copy(update={"rows": 67}))


def test_a_folder_that_takes_no_file_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot seal"):
        write_segment(tmp_path / "file", "attempts", ATTEMPTS)
    (tmp_path / "attempts-000000000002-000000000197.parquet").mkdir()
    with pytest.raises(StoreError, match="cannot seal"):
        write_segment(tmp_path, "attempts", ATTEMPTS)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["attempts-000000000002-000000000197.parquet", "file"]
