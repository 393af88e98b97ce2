"""Sealed rows by column: one prefix for as long as it is read, and damage that names itself."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from controllers.corpus.columns import columns_of
from controllers.corpus.journal import SqliteCorpus
from controllers.corpus.manifest import MANIFEST
from controllers.corpus.segments import Segments, Sizes, seal, segments_of
from controllers.testing import a_decision, an_attempt, an_episode
from signatures.errors import StoreError, UsageError

SIZES = Sizes(least_rows=4, most_rows=8)


@pytest.fixture
def corpus(tmp_path: Path) -> Iterator[SqliteCorpus]:
    opened = SqliteCorpus(tmp_path / "corpus.db")
    yield opened
    opened.close()


@pytest.fixture
async def folder(corpus: SqliteCorpus) -> Path:
    """Three segments of five attempts (journal rows 1-5, 7-11, 13-17), each followed by an episode (6, 12, 18)."""
    at = segments_of(corpus.path)
    for name in "abc":
        await corpus.append(*(an_attempt(number, episode=name) for number in range(5)), an_episode(name))
        await seal(corpus, at, sizes=SIZES)
    return at


def attempt_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("attempts-*"))


async def test_columns_are_read_in_the_order_asked_for(folder: Path) -> None:
    segments = Segments(folder)
    assert segments.sealed_n == 18
    table = segments.table("attempts", ["value.correct", "episode_id", "value.never", "n"])
    assert table.column_names == ["value.correct", "episode_id", "value.never", "n"]
    assert table["n"].to_pylist() == [*range(1, 6), *range(7, 12), *range(13, 18)]
    assert table["episode_id"].to_pylist() == [*"aaaaabbbbbccccc"]
    assert table["value.correct"].to_numpy().tolist() == [0.1 + 0.2] * 15
    assert table["value.never"].null_count == 15


async def test_all_columns_are_those_of_the_layout_and_what_was_seen(folder: Path) -> None:
    seen = [f"{what}.{objective}" for what in ("passed", "value") for objective in ("correct", "fast")]
    assert Segments(folder).table("attempts").column_names == columns_of("attempts", seen)
    assert Segments(folder).table("decisions").column_names == columns_of("decisions")
    assert Segments(folder).table("decisions").num_rows == 0


async def test_a_column_that_cannot_be_is_the_callers_mistake(folder: Path) -> None:
    with pytest.raises(UsageError, match="attempts have no column 'score'"):
        Segments(folder).table("attempts", ["id", "score"])


def test_what_was_never_sealed_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"{tmp_path}: nothing is sealed here; seal the corpus first"):
        Segments(tmp_path)


async def test_a_reader_keeps_to_its_prefix_while_the_folder_grows(corpus: SqliteCorpus, folder: Path) -> None:
    """Files that it knew are replaced by ones with more rows, and deleted."""
    await corpus.append(an_attempt(0, episode="d"))
    await seal(corpus, folder, sizes=SIZES)
    segments = Segments(folder)
    before = segments.table("attempts")
    assert before.num_rows == 16
    for number in range(1, 4):
        await corpus.append(an_attempt(number, episode="d"), a_decision(number, episode="d"), an_episode(f"d{number}"))
        await seal(corpus, folder, sizes=SIZES)
        assert segments.table("attempts").equals(before)
        assert segments.table("episodes", ["id"])["id"].to_pylist() == [*"abc"]
        assert segments.table("decisions").num_rows == 0
        assert segments.verify() >= 5
        assert segments.intact().sealed_n == segments.sealed_n
    assert Segments(folder).table("attempts").num_rows == 19


@pytest.mark.parametrize(("until", "rows"), [(0, 0), (5, 5), (8, 7), (17, 15), (99, 15)])
async def test_a_prefix_can_be_asked_for(folder: Path, until: int, rows: int) -> None:
    segments = Segments(folder, until=until)
    assert segments.sealed_n == min(until, 18)
    assert segments.table("attempts", ["round"]).num_rows == rows
    assert segments.table("attempts", ["value.never"]).num_rows == rows


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def edited(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [torn, edited, Path.unlink])
async def test_damage_names_itself_and_the_rows_before_it_stay(folder: Path, damage: object) -> None:
    assert callable(damage)
    broken = attempt_files(folder)[1]
    damage(broken)
    segments = Segments(folder)
    for look in (lambda: segments.table("attempts"), segments.verify):
        with pytest.raises(StoreError, match=rf"^{broken}: the segment cannot be read: .* seal again"):
            look()
    assert segments.table("episodes", ["id"]).num_rows == 3
    prefix = segments.intact()
    assert prefix.sealed_n == 6
    assert prefix.table("attempts", ["episode_id"])["episode_id"].to_pylist() == [*"aaaaa"]
    assert prefix.table("episodes", ["id"])["id"].to_pylist() == ["a"]


async def test_of_a_sound_folder_everything_is_intact(folder: Path) -> None:
    assert Segments(folder).verify() == 4
    assert Segments(folder).intact().sealed_n == 18


async def test_where_the_first_is_broken_nothing_is_intact(folder: Path) -> None:
    attempt_files(folder)[0].unlink()
    prefix = Segments(folder).intact()
    assert [prefix.table(kind).num_rows for kind in ("attempts", "decisions", "episodes")] == [0, 0, 0]


async def test_sealed_again_it_is_whole_again(corpus: SqliteCorpus, folder: Path) -> None:
    """What the messages say to do."""
    before = Segments(folder).table("attempts")
    torn(attempt_files(folder)[0])
    await asyncio.to_thread(shutil.rmtree, folder)
    await seal(corpus, folder)
    assert Segments(folder).table("attempts").to_pylist() == before.to_pylist()


async def test_an_edited_manifest_is_refused(folder: Path) -> None:
    manifest = folder / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b'"first_n":7', b'"first_n":3', 1))
    with pytest.raises(StoreError, match=r"manifest.jsonl:\d+: attempts-000000000007-000000000011.parquet does not"):
        Segments(folder)
