from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from experiments.serve.batches import Batches
from signatures.errors import StoreError


async def test_many_writes_are_there_when_they_return_in_fewer_commits(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as db:
        db.execute("CREATE TABLE t (x INTEGER PRIMARY KEY)")
        commits: list[str] = []
        db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        batches = Batches(db, path)

        async def one(n: int) -> None:
            await batches.run("INSERT INTO t VALUES (?)", n)
            with closing(sqlite3.connect(path)) as other:
                assert other.execute("SELECT count(*) FROM t WHERE x = ?", (n,)).fetchone() == (1,)

        await asyncio.gather(*(one(n) for n in range(200)))
        await batches.settle()
        assert len(commits) < 200


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
