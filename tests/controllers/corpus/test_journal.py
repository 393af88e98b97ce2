"""The corpus in a file: the contract, other processes, damage, a full disk, and a kill at any moment."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from controllers.corpus.journal import SqliteCorpus
from controllers.corpus.schema import TABLES
from controllers.testing import (
    LARGE,
    SMALL,
    CorpusContract,
    a_decision,
    an_attempt,
    an_episode,
    listed,
)
from signatures.digest import digest_bytes
from signatures.errors import StoreError
from signatures.records import Attempt, Decision

CHILD = Path(__file__).with_name("appending_child.py")
KILLS = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "corpus.db"


@pytest.fixture
def corpus(path: Path) -> Iterator[SqliteCorpus]:
    opened = SqliteCorpus(path)
    yield opened
    opened.close()


class TestSqliteCorpus(CorpusContract):
    @pytest.fixture
    def corpus(self, tmp_path: Path) -> Iterator[SqliteCorpus]:
        opened = SqliteCorpus(tmp_path / "corpus.db")
        yield opened
        opened.close()


def child(*arguments: object, root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(CHILD), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def acknowledged(lines: list[str]) -> list[tuple[str, int, list[str]]]:
    found = [line.split() for line in lines if line.startswith("ack ")]
    return [(episode, int(number), digests) for _, episode, number, *digests in found]


async def check_intact(corpus: SqliteCorpus, acks: list[tuple[str, int, list[str]]]) -> None:
    """Every record equals what was appended, and every blob is what its digest names (`blob` checks it)."""
    for episode, number, digests in acks:
        expected = an_attempt(number, episode=episode)
        assert await corpus.get(Attempt, expected.id) == expected
        for digest in digests:
            assert await corpus.blob(digest)


def check_sound(path: Path) -> None:
    """SQLite finds no damage, no id stands twice and the numbers have no gap."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows, ids, last = db.execute("SELECT count(*), count(DISTINCT id), max(n) FROM attempts").fetchone()
    assert rows == ids == last


async def test_it_is_there_after_closing(path: Path) -> None:
    async with SqliteCorpus(path) as corpus:
        await corpus.append(an_attempt(0), an_episode(), blobs=[SMALL, LARGE])
        mark = await corpus.high_water()
    assert sorted(file.name for file in path.parent.iterdir()) == ["corpus.db", "corpus.db.blobs"]
    async with SqliteCorpus(path) as corpus:
        await corpus.append(an_attempt(1))
        assert await listed(corpus.scan(Attempt, until=mark)) == [an_attempt(0)]
        assert await listed(corpus.arrivals()) == [an_attempt(0), an_episode(), an_attempt(1)]
        assert await listed(corpus.arrivals(until=mark)) == [an_attempt(0), an_episode()]
        assert await listed(corpus.blob_digests()) == [digest_bytes(SMALL), digest_bytes(LARGE)]
    corpus.close()
    with pytest.raises(StoreError, match="is closed"):
        await corpus.append(an_attempt(2))


async def test_only_large_blobs_are_files(path: Path, corpus: SqliteCorpus) -> None:
    inside, outside = bytes(64 * 1024 - 1), bytes(64 * 1024)
    await corpus.append(blobs=[inside, outside])
    assert [file.name for file in (path.parent / "corpus.db.blobs").iterdir()] == [f"{digest_bytes(outside)}.zst"]
    assert await corpus.blob(digest_bytes(inside)) == inside
    assert await corpus.blob(digest_bytes(outside)) == outside


async def test_a_reader_sees_what_a_writer_adds(path: Path, corpus: SqliteCorpus) -> None:
    await corpus.append(an_attempt(0))
    async with SqliteCorpus.open_readonly(path) as reader:
        assert await listed(reader.scan(Attempt)) == [an_attempt(0)]
        await corpus.append(an_attempt(1), blobs=[LARGE])
        assert await listed(reader.scan(Attempt)) == [an_attempt(0), an_attempt(1)]
        assert await reader.blob(digest_bytes(LARGE)) == LARGE
        with pytest.raises(StoreError, match="for reading only"):
            await reader.append(an_attempt(2))


async def test_rows_of_one_table_come_with_their_numbers(corpus: SqliteCorpus) -> None:
    attempts = [an_attempt(number) for number in range(600)]
    await corpus.append(a_decision(0), *attempts[:300], a_decision(1), *attempts[300:])
    table, end = TABLES[Attempt], await corpus.high_water()
    everything = await listed(corpus.numbered(table, until=end))
    numbers = [*range(2, 302), *range(303, 603)]
    assert everything == [*zip(numbers, attempts, strict=True)]
    assert await listed(corpus.numbered(table, after=299, until=304)) == everything[298:302]
    assert await listed(corpus.numbered(TABLES[Decision], after=1, until=end)) == [(302, a_decision(1))]
    assert await listed(corpus.numbered(table, after=end, until=end)) == []


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such corpus"):
        SqliteCorpus.open_readonly(tmp_path / "corpus.db")
    assert list(tmp_path.iterdir()) == []


async def test_several_processes_may_write(path: Path, corpus: SqliteCorpus, pytestconfig: pytest.Config) -> None:
    """Two of them append the same attempts, a third others, while this one reads and appends."""
    names = ("same", "same", "other")
    started = [child("some", path, name, 150, root=pytestconfig.rootpath) for name in names]
    for number in range(20):
        await corpus.append(an_attempt(number, episode="ours"))
    ended = [await asyncio.to_thread(process.communicate) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    for output, _ in ended:
        acks = acknowledged(output.splitlines())
        assert len(acks) == 150
        await check_intact(corpus, acks)
    assert len(await listed(corpus.scan(Attempt))) == 320
    check_sound(path)


async def test_records_are_found_by_the_start_of_their_id(corpus: SqliteCorpus) -> None:
    await corpus.append(an_episode("abc1"), an_episode("abc2"), an_episode("abd"), an_attempt(0), a_decision(0))
    assert await corpus.find("abc") == [an_episode("abc1"), an_episode("abc2")]
    assert await corpus.find("ab", limit=2) == [an_episode("abc1"), an_episode("abc2")]
    assert await corpus.find(a_decision(0).id[:8]) == [a_decision(0)]
    assert await corpus.find("%") == []
    assert len(await corpus.find("")) == 5


async def test_damage_is_found_when_it_is_read(path: Path, corpus: SqliteCorpus) -> None:
    await corpus.append(an_attempt(0), a_decision(0), blobs=[SMALL, LARGE, b"other"])
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE attempts SET body = x'28b52ffd'")
        db.execute("UPDATE blobs SET body = (SELECT body FROM blobs WHERE size = 5 AND n = 3) WHERE n = 1")
        db.commit()
    (path.parent / "corpus.db.blobs" / f"{digest_bytes(LARGE)}.zst").unlink()
    with pytest.raises(StoreError, match=f"{an_attempt(0).id} is damaged"):
        await corpus.get(Attempt, an_attempt(0).id)
    with pytest.raises(StoreError, match=f"blob {digest_bytes(SMALL)} is damaged"):
        await corpus.blob(digest_bytes(SMALL))
    with pytest.raises(StoreError, match=f"cannot read blob {digest_bytes(LARGE)}"):
        await corpus.blob(digest_bytes(LARGE))
    assert await corpus.get(Decision, a_decision(0).id) == a_decision(0)


async def test_a_blob_that_cannot_be_a_file_stores_nothing(path: Path, corpus: SqliteCorpus) -> None:
    (path.parent / "corpus.db.blobs").write_text("in the way")
    with pytest.raises(StoreError, match="cannot append"):
        await corpus.append(an_attempt(0), blobs=[LARGE])
    assert await listed(corpus.scan(Attempt)) == []


async def test_files_that_may_not_grow_fail_the_append_only(path: Path, pytestconfig: pytest.Config) -> None:
    async with SqliteCorpus(path) as corpus:
        await corpus.append(*(an_attempt(number, episode="before") for number in range(50)))
    process = child("starved", path, 1_000_000, root=pytestconfig.rootpath)
    output, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0
    *_, refusal, readable = output.splitlines()
    acks = acknowledged(output.splitlines())
    assert refusal.startswith(f"refused {path}: cannot append")
    assert len(acks) > 20
    assert readable == f"readable {50 + len(acks)}"
    async with SqliteCorpus(path) as corpus:
        await corpus.append(an_attempt(0, episode="after"))
        await check_intact(corpus, [*acks, ("before", 49, []), ("after", 0, [])])
    check_sound(path)


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[None]:
    at.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(at)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)


def make_readonly(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs")
async def test_a_full_disk_fails_the_append_only(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "2m"):
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(2**20))
        async with SqliteCorpus(disk / "corpus.db") as corpus:
            acks: list[tuple[str, int, list[str]]] = []
            with pytest.raises(StoreError, match=r"full|No space|disk I/O"):
                for number in range(10_000):
                    blob = random.Random(number).randbytes(90_000 if number % 5 == 0 else 900)
                    await corpus.append(an_attempt(number), blobs=[blob])
                    acks.append(("e", number, [digest_bytes(blob)]))
            assert len(acks) > 5
            await check_intact(corpus, acks)
            ballast.unlink()
            await corpus.append(an_attempt(20_000))
        check_sound(disk / "corpus.db")
        make_readonly(disk)
        async with SqliteCorpus.open_readonly(disk / "corpus.db") as corpus:
            await check_intact(corpus, [*acks, ("e", 20_000, [])])
        with pytest.raises(StoreError, match="cannot open"):
            SqliteCorpus(disk / "corpus.db")


async def test_a_kill_at_any_moment_loses_nothing_acknowledged(path: Path, pytestconfig: pytest.Config) -> None:
    moments = random.Random(1)
    acks: list[tuple[str, int, list[str]]] = []
    with child("forked", path, root=pytestconfig.rootpath) as server:
        for kill in range(KILLS):
            fresh = acknowledged(kill_once(server, f"r{kill}", after_s=moments.uniform(0, 0.12)))
            async with SqliteCorpus(path) as corpus:  # with a writer: the dead one's log is its to recover
                await check_intact(corpus, fresh)
                await corpus.append(*(an_attempt(number, episode=f"r{kill}") for _, number, _ in fresh[:3]))
            acks += fresh
        assert server.stdin is not None
        server.stdin.close()
    assert len(acks) > KILLS
    async with SqliteCorpus.open_readonly(path) as corpus:
        await check_intact(corpus, acks)
        async for digest in corpus.blob_digests():
            await corpus.blob(digest)
    check_sound(path)


def kill_once(server: subprocess.Popen[str], name: str, *, after_s: float) -> list[str]:
    """Let a child append, kill it after its time and return what it said."""
    assert server.stdin is not None
    assert server.stdout is not None
    print(name, file=server.stdin, flush=True)
    lines: list[str] = []
    for line in server.stdout:
        lines.append(line)
        if line.startswith("pid "):
            time.sleep(after_s)
            os.kill(int(line.split()[1]), signal.SIGKILL)
        elif line == "dead\n":
            break
    return lines
