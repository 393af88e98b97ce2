"""Sealing goes on where it ended, merges what is small, and survives a kill at any moment and others at once."""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from controllers.corpus.columns import KINDS, table_of
from controllers.corpus.journal import SqliteCorpus
from controllers.corpus.manifest import MANIFEST, read_manifest, segments_of
from controllers.corpus.schema import TABLES
from controllers.corpus.sealing import LOCK, Sealed, Sizes, seal
from controllers.corpus.segments import Segments
from controllers.testing import a_decision, an_attempt, an_episode
from signatures.errors import StoreError

CHILD = Path(__file__).with_name("sealing_child.py")
SMALL = Sizes(least_rows=20, most_rows=50)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "corpus.db"


@pytest.fixture
def corpus(path: Path) -> Iterator[SqliteCorpus]:
    opened = SqliteCorpus(path)
    yield opened
    opened.close()


async def grow(corpus: SqliteCorpus, episode: str, attempts: int) -> None:
    made = [r for n in range(attempts) for r in (a_decision(n, episode=episode), an_attempt(n, episode=episode))]
    await corpus.append(*made, an_episode(episode))


async def check_complete(corpus: SqliteCorpus, folder: Path) -> None:
    """What is sealed is what the journal holds up to the mark, row by row."""
    sealed = Segments(folder)
    for table, kind in zip(TABLES.values(), KINDS, strict=True):
        assert table.name == kind
        rows = [row async for row in corpus.numbered(table, until=sealed.sealed_n)]
        expected = table_of(kind, [record for _, record in rows], numbers=[n for n, _ in rows])
        found = sealed.table(kind)
        assert found["n"].to_pylist() == [n for n, _ in rows]
        assert found.select(expected.column_names).to_pylist() == expected.to_pylist()
    sealed.verify()


def check_sizes(folder: Path) -> None:
    """Of each kind only the last segment may be small; nothing stands around that does not count."""
    manifest = read_manifest(folder)
    for kind in KINDS:
        assert all(segment.rows >= SMALL.least_rows for segment in manifest.of(kind)[:-1])
    assert {file.name for file in folder.iterdir()} == {
        MANIFEST,
        LOCK,
        *(segment.file for segment in manifest.segments),
    }


def child(*arguments: object, root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(CHILD), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


async def test_only_what_is_new_is_sealed(corpus: SqliteCorpus, tmp_path: Path) -> None:
    folder = tmp_path / "below" / "folder"
    await grow(corpus, "a", 3)
    first = await seal(corpus, folder)
    assert first.rows == {"attempts": 3, "decisions": 3, "episodes": 1}
    assert (first.sealed_n, first.segments, first.folder) == (7, 3, folder)
    assert first.bytes == sum(file.stat().st_size for file in folder.glob("*.parquet"))
    before = (folder / MANIFEST).read_bytes()
    again = await seal(corpus, folder)
    assert (again.rows, again.sealed_n) == ({"attempts": 0, "decisions": 0, "episodes": 0}, 7)
    assert (folder / MANIFEST).read_bytes() == before
    await corpus.append(an_attempt(0, episode="b"))
    assert (await seal(corpus, folder)).rows == {"attempts": 1, "decisions": 0, "episodes": 0}
    await check_complete(corpus, folder)


async def test_an_empty_corpus_can_be_sealed(corpus: SqliteCorpus, tmp_path: Path) -> None:
    sealed = await seal(corpus, tmp_path / "folder")
    assert sealed == Sealed(tmp_path / "folder", 0, {"attempts": 0, "decisions": 0, "episodes": 0}, 0, 0)
    assert Segments(tmp_path / "folder").table("episodes").num_rows == 0


async def test_sealed_often_it_has_few_segments(corpus: SqliteCorpus, tmp_path: Path) -> None:
    """What is small is rewritten with what is new, and no more than that."""
    counts = []
    for number in range(20):
        await grow(corpus, f"e{number}", 7)
        counts.append((await seal(corpus, tmp_path / "folder", sizes=SMALL)).segments)
        check_sizes(tmp_path / "folder")
    await check_complete(corpus, tmp_path / "folder")
    manifest = read_manifest(tmp_path / "folder")
    assert [segment.rows for segment in manifest.of("attempts")] == [21] * 6 + [14]
    assert [segment.rows for segment in manifest.of("episodes")] == [20]
    assert counts[-1] == 15


async def test_segments_end_where_they_are_large(corpus: SqliteCorpus, tmp_path: Path) -> None:
    await grow(corpus, "a", 1_100)
    await seal(corpus, tmp_path / "folder", sizes=Sizes(least_rows=100, most_rows=500))
    rows = [segment.rows for segment in read_manifest(tmp_path / "folder").of("attempts")]
    assert rows == [1024, 76]  # a batch is not cut
    await check_complete(corpus, tmp_path / "folder")


async def test_new_columns_come_with_new_records(corpus: SqliteCorpus, tmp_path: Path) -> None:
    await corpus.append(a_decision(0))
    await seal(corpus, tmp_path / "folder")
    await corpus.append(a_decision(1).model_copy(update={"features": {"depth": 2.0}}))
    await seal(corpus, tmp_path / "folder")
    found = Segments(tmp_path / "folder").table("decisions", ["feature.depth", "feature.turns"])
    assert found.to_pydict() == {"feature.depth": [None, 2.0], "feature.turns": [3.0, None]}


async def test_segments_of_another_corpus_are_refused(path: Path, corpus: SqliteCorpus, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    await grow(corpus, "a", 3)
    await seal(corpus, folder)
    async with SqliteCorpus(tmp_path / "other.db") as other:
        with pytest.raises(StoreError, match=r"folder: was sealed from another corpus than .*other.db: remove the"):
            await seal(other, folder)
        await grow(other, "b", 9)
        with pytest.raises(StoreError, match="another corpus"):
            await seal(other, folder)
    await check_complete(corpus, folder)


async def test_what_a_dead_process_left_is_cleared_away_and_nothing_else(corpus: SqliteCorpus, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    ours = (".0123456789abcdef.draft", "attempts-000000000001-000000000009.parquet")
    for name in (*ours, "mine.parquet", "notes.txt"):
        (folder / name).write_bytes(b"x")
    await grow(corpus, "a", 3)
    await seal(corpus, folder)
    left = {file.name for file in folder.iterdir()}
    assert left & {*ours} == set()
    assert {"mine.parquet", "notes.txt"} < left
    await check_complete(corpus, folder)


async def test_a_damaged_segment_is_not_built_upon(corpus: SqliteCorpus, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    await grow(corpus, "a", 3)
    await seal(corpus, folder)
    (small,) = folder.glob("attempts-*")
    small.write_bytes(small.read_bytes()[:-1])
    await grow(corpus, "b", 3)
    with pytest.raises(StoreError, match=f"{small}: .* torn or was edited; .* seal again"):
        await seal(corpus, folder)


async def test_a_damaged_record_stops_the_seal_and_the_prefix_stays(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    async with SqliteCorpus(path) as corpus:
        await grow(corpus, "a", 3)
        await seal(corpus, folder)
        await grow(corpus, "b", 3)
        with closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE decisions SET body = x'28b52ffd' WHERE n > 7")
            db.commit()
        with pytest.raises(StoreError, match="is damaged"):
            await seal(corpus, folder)
        assert (Segments(folder).sealed_n, Segments(folder).table("attempts").num_rows) == (7, 3)


async def test_a_folder_that_cannot_be_is_refused(corpus: SqliteCorpus, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot seal"):
        await seal(corpus, tmp_path / "file")


async def test_a_seal_waits_for_the_lock_and_can_be_called_off(corpus: SqliteCorpus, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    await grow(corpus, "a", 3)
    folder.mkdir()
    with (folder / LOCK).open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting, hopeless = (asyncio.create_task(seal(corpus, folder)) for _ in range(2))
        await asyncio.sleep(0.1)
        hopeless.cancel()
        assert not waiting.done()
        assert read_manifest(folder).sealed_n is None
    assert (await waiting).sealed_n == 7
    with pytest.raises(asyncio.CancelledError):
        await hopeless
    await check_complete(corpus, folder)


async def test_a_cancelled_seal_leaves_a_folder_to_go_on_from(corpus: SqliteCorpus, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for number in range(12):
        await grow(corpus, f"e{number}", 20)
        task = asyncio.create_task(seal(corpus, folder, sizes=SMALL))
        for _ in range(number):
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait({task})
    await seal(corpus, folder, sizes=SMALL)
    check_sizes(folder)
    await check_complete(corpus, folder)


async def test_several_processes_may_seal_at_once(
    path: Path, corpus: SqliteCorpus, pytestconfig: pytest.Config
) -> None:
    folder = segments_of(path)
    started = [child("some", path, name, 6, root=pytestconfig.rootpath) for name in ("a", "b")]
    while any(process.poll() is None for process in started):
        await seal(corpus, folder, sizes=SMALL)
        await check_complete(corpus, folder)  # while others go on
        await asyncio.sleep(0.1)
    for process in started:
        process.communicate()
    assert [process.returncode for process in started] == [0, 0]
    sealed = await seal(corpus, folder, sizes=SMALL)
    assert sealed.sealed_n == 2 * 6 * 7
    check_sizes(folder)
    await check_complete(corpus, folder)


@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.slow)])
async def test_a_kill_at_any_moment_leaves_a_readable_prefix(
    path: Path, pytestconfig: pytest.Config, kills: int
) -> None:
    moments = random.Random(2)
    folder = segments_of(path)
    marks: list[int] = []
    with child("forked", path, root=pytestconfig.rootpath) as server:
        for kill in range(kills):
            said = kill_once(server, f"k{kill}", seals=min(kill, 1), after_s=moments.uniform(0, 0.15))
            if read_manifest(folder).sealed_n is None:
                assert kill == 0  # killed before the first seal of all came to its end
                continue
            async with SqliteCorpus.open_readonly(path) as corpus:
                await check_complete(corpus, folder)
            assert Segments(folder).sealed_n >= max([*said, *marks])
            marks.append(Segments(folder).sealed_n)
        assert server.stdin is not None
        server.stdin.close()
    assert len({*marks}) >= kills - 1
    async with SqliteCorpus(path) as corpus:
        await seal(corpus, folder, sizes=SMALL)
        await check_complete(corpus, folder)
        assert Segments(folder).sealed_n == await corpus.high_water()
    check_sizes(folder)


def kill_once(server: subprocess.Popen[str], name: str, *, seals: int, after_s: float) -> list[int]:
    """Let a child append and seal, kill it some time after so many seals and return the marks that it reported."""
    assert server.stdin is not None
    assert server.stdout is not None
    print(name, file=server.stdin, flush=True)
    marks: list[int] = []
    pid: int | None = None
    for line in server.stdout:
        word, _, number = line.strip().partition(" ")
        if word == "dead":
            break
        if word == "pid":
            pid = int(number)
        else:
            marks.append(int(number))
        if pid is not None and len(marks) >= seals:
            time.sleep(after_s)
            os.kill(pid, signal.SIGKILL)
            pid = None
    return marks


async def test_killed_between_file_and_manifest_and_between_manifest_and_deletion(
    corpus: SqliteCorpus, tmp_path: Path
) -> None:
    """The states that a kill leaves, made by hand: each reads as its last mark, and the next seal mends it."""
    folder = tmp_path / "folder"
    await grow(corpus, "a", 3)
    await seal(corpus, folder)
    old = {file.name: file.read_bytes() for file in folder.iterdir()}
    await grow(corpus, "b", 3)
    await seal(corpus, folder)
    new = {file.name: file.read_bytes() for file in folder.iterdir()}
    rows = new[MANIFEST].splitlines(keepends=True)[old[MANIFEST].count(b"\n") :]
    assert len(rows) == 4  # three segments and the mark
    for durable in range(len(rows) + 1):
        for file in folder.iterdir():
            file.unlink()
        for name, data in {**old, **new}.items():
            (folder / name).write_bytes(data)
        (folder / MANIFEST).write_bytes(old[MANIFEST] + b"".join(rows[:durable]))
        assert Segments(folder).sealed_n == (14 if durable == 4 else 7)
        await check_complete(corpus, folder)
        await seal(corpus, folder)
        assert Segments(folder).sealed_n == 14
        await check_complete(corpus, folder)
        assert sorted(file.name for file in folder.glob("*.parquet")) == sorted(n for n in new if n.endswith("parquet"))
