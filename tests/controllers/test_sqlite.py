"""Transactions are whole or undone, a lock that stays is retryable, and a log that cannot be had is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from controllers.sqlite import is_busy, store_errors, transaction, use_wal
from signatures.errors import StoreError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.db"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(opened(path)) as connection:
        connection.execute("CREATE TABLE rows (n INTEGER)")
        yield connection


def opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=0.001, isolation_level=None)


def test_a_transaction_is_stored_whole(db: sqlite3.Connection) -> None:
    with transaction(db):
        db.execute("INSERT INTO rows VALUES (1)")
        db.execute("INSERT INTO rows VALUES (2)")
    assert not db.in_transaction
    assert db.execute("SELECT count(*) FROM rows").fetchone() == (2,)


def test_an_error_inside_a_transaction_undoes_it(db: sqlite3.Connection) -> None:
    with pytest.raises(RuntimeError, match="stop"), transaction(db):
        db.execute("INSERT INTO rows VALUES (1)")
        raise RuntimeError("stop")
    assert db.execute("SELECT count(*) FROM rows").fetchone() == (0,)


def test_a_lock_that_does_not_come_free_is_retryable(path: Path, db: sqlite3.Connection) -> None:
    def append(other: sqlite3.Connection) -> None:
        with store_errors(path, "append"), transaction(other):
            other.execute("INSERT INTO rows VALUES (1)")

    with closing(opened(path)) as other, transaction(db), pytest.raises(StoreError) as refused:
        append(other)
    assert str(refused.value).startswith(f"{path}: cannot append: ")
    assert refused.value.retryable


def test_what_no_lock_caused_is_not_retryable(path: Path, db: sqlite3.Connection) -> None:
    with pytest.raises(StoreError, match="no such table") as refused, store_errors(path, "read"):
        db.execute("SELECT * FROM missing")
    assert not refused.value.retryable
    assert not is_busy(OSError("full"))


def test_the_write_ahead_log_is_switched_on(path: Path, db: sqlite3.Connection) -> None:
    use_wal(db, path)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_where_there_can_be_no_write_ahead_log_is_said(path: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as db, pytest.raises(StoreError, match=r"\(journal mode memory\)"):
        use_wal(db, path)


def test_the_switch_waits_only_so_long(path: Path, db: sqlite3.Connection) -> None:
    with closing(opened(path)) as other, transaction(db), pytest.raises(sqlite3.OperationalError, match="locked"):
        use_wal(other, path, patience_s=0.05)
