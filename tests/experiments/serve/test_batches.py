from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from experiments.serve.batches import Batches, Gathered
from signatures.errors import StoreError


async def test_many_writes_are_there_when_they_return_in_fewer_commits(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as db:
        db.execute("CREATE TABLE t (x INTEGER PRIMARY KEY)")
        commits: list[str] = []
        db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        batches = Batches(db, path)

        async def one(n: int) -> None:
            assert await batches.run("INSERT INTO t VALUES (?)", n) == 1
            assert await batches.run("INSERT INTO t VALUES (?) ON CONFLICT DO NOTHING", n) == 0
            with closing(sqlite3.connect(path)) as other:
                assert other.execute("SELECT count(*) FROM t WHERE x = ?", (n,)).fetchone() == (1,)

        await asyncio.gather(*(one(n) for n in range(200)))
        await batches.settle()
        assert len(commits) < 400


async def test_a_bad_statement_is_an_error_and_the_next_one_works(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as db:
        db.execute("CREATE TABLE t (x INTEGER PRIMARY KEY)")
        batches = Batches(db, path)
        with pytest.raises(StoreError, match="cannot write"):
            await batches.run("INSERT INTO nothing VALUES (1)")
        await batches.run("INSERT INTO t VALUES (1)")
        assert db.execute("SELECT count(*) FROM t").fetchone() == (1,)


async def test_a_caller_that_was_cancelled_does_not_take_its_write_back(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as db:
        db.execute("CREATE TABLE t (x INTEGER PRIMARY KEY)")
        batches = Batches(db, path)
        calling = asyncio.create_task(batches.run("INSERT INTO t VALUES (7)"))
        await asyncio.sleep(0)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await batches.settle()
        assert db.execute("SELECT x FROM t").fetchone() == (7,)


async def test_what_waits_goes_together_and_one_that_is_refused_does_not_refuse_the_others() -> None:
    calls: list[int] = []

    def write(items: Sequence[int]) -> list[int]:
        calls.append(len(items))
        if 3 in items:
            raise StoreError("no 3")
        return [item * 10 for item in items]

    gathered = Gathered(write, "numbers")
    got = await asyncio.gather(*(gathered.put(n) for n in range(8)), return_exceptions=True)
    assert [str(one) for one in got] == ["0", "10", "20", "no 3", "40", "50", "60", "70"]
    assert calls == [8, *[1] * 8]
    assert await gathered.put(9) == 90


async def test_a_lock_is_not_waited_for_once_by_each() -> None:
    calls: list[int] = []

    def write(items: Sequence[int]) -> list[int]:
        calls.append(len(items))
        raise StoreError("locked", retryable=True)

    gathered = Gathered(write, "numbers")
    got = await asyncio.gather(*(gathered.put(n) for n in range(8)), return_exceptions=True)
    assert all(isinstance(one, StoreError) and one.retryable for one in got)
    assert calls == [8]


async def test_a_writer_that_breaks_down_leaves_nobody_waiting() -> None:
    def write(items: Sequence[int]) -> list[int]:
        raise RuntimeError("a bug")

    gathered = Gathered(write, "numbers")
    with pytest.raises(StoreError, match="was stopped"):
        await gathered.put(1)


async def test_threads_that_are_busy_elsewhere_delay_no_write() -> None:
    free = threading.Event()
    busy = [asyncio.create_task(asyncio.to_thread(free.wait)) for _ in range(100)]
    try:
        assert await asyncio.wait_for(Gathered(lambda items: list(items), "a").put(7), 30) == 7
        assert not any(one.done() for one in busy)
    finally:
        free.set()
        await asyncio.gather(*busy)
