"""What counts is what the manifest says last; a row that is wrong is named."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from controllers.corpus.columns import Kind
from controllers.corpus.manifest import MANIFEST, Manifest, Mark, Segment, read_manifest, segments_of
from controllers.jsonlog import JsonLog
from signatures.errors import StoreError


def a_segment(first: int, last: int, *, kind: Kind = "attempts", replaces: Iterable[str] = ()) -> Segment:
    return Segment(
        file=f"{kind}-{first:012}-{last:012}.parquet",
        kind=kind,
        first_n=first,
        last_n=last,
        last_id="a",
        rows=1,
        bytes=9,
        sha256="0",
        footer_crc32=0,
        column_crc32={},
        replaces=tuple(replaces),
    )


def written(folder: Path, *rows: Segment | Mark | dict[str, object]) -> Path:
    with closing(JsonLog(folder / MANIFEST)) as log:
        for row in rows:
            log.append(row if isinstance(row, dict) else row.model_dump(mode="json"))
    return folder


def test_segments_stand_beside_their_corpus() -> None:
    assert segments_of(Path("runs/corpus.db")) == Path("runs/corpus.db.segments")


def test_where_there_is_nothing_nothing_is_sealed(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "none") == Manifest() == Manifest((), None)


def test_what_was_replaced_does_not_count(tmp_path: Path) -> None:
    one, two = a_segment(1, 5), a_segment(6, 9)
    other = a_segment(2, 3, kind="episodes")
    longer = a_segment(6, 20, replaces=[two.file])
    found = read_manifest(written(tmp_path, one, other, two, Mark(sealed_n=9), longer))
    assert found == Manifest((one, other, longer), 9)
    assert found.of("attempts") == (one, longer)
    assert found.of("decisions") == ()


def test_half_a_last_line_was_never_sealed(tmp_path: Path) -> None:
    path = written(tmp_path, a_segment(1, 5), Mark(sealed_n=5)) / MANIFEST
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"row":"mark","sealed_n":9')
    assert read_manifest(tmp_path) == Manifest((a_segment(1, 5),), 5)


def test_every_cut_of_a_manifest_is_a_prefix(tmp_path: Path) -> None:
    one, two = a_segment(1, 5), a_segment(1, 9, replaces=[a_segment(1, 5).file])
    path = written(tmp_path, one, Mark(sealed_n=5), two, Mark(sealed_n=9)) / MANIFEST
    whole = path.read_bytes()
    prefixes = [Manifest(), Manifest((one,)), Manifest((one,), 5), Manifest((two,), 5), Manifest((two,), 9)]
    seen = []
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        seen.append(read_manifest(tmp_path))
    assert [found for found, before in zip(seen, [None, *seen], strict=False) if found != before] == prefixes


@pytest.mark.parametrize(
    "row",
    [
        a_segment(5, 9),
        a_segment(1, 5),
        a_segment(9, 6),
        a_segment(6, 9, replaces=["attempts-000000000001-000000000004.parquet"]),
    ],
    ids=["overlaps", "is there already", "ends before it begins", "replaces what is not there"],
)
def test_a_row_that_does_not_follow_is_named(tmp_path: Path, row: Segment) -> None:
    written(tmp_path, a_segment(1, 5), row)
    with pytest.raises(StoreError, match=rf"manifest.jsonl:2: {row.file} does not follow .* remove the folder"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("change", [{"file": "../attempts-000000000001-000000000005.parquet"}, {"rows": 0}, {"row": 1}])
def test_what_is_no_row_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    written(tmp_path, {**a_segment(1, 5).model_dump(mode="json"), **change})
    with pytest.raises(StoreError, match=r"manifest.jsonl:1: is no row of a manifest: remove the folder"):
        read_manifest(tmp_path)


def test_another_layout_is_named(tmp_path: Path) -> None:
    written(tmp_path, a_segment(1, 5).model_copy(update={"layout": 7}))
    with pytest.raises(StoreError, match=r"has layout 7; this Tiller reads layout 1: remove the folder .* seal again"):
        read_manifest(tmp_path)
