"""Transactions are whole or undone, a lock that stays is retryable, and a log that cannot be had is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from controllers.sqlite import is_busy, prepare, store_errors, transaction, use_wal
from signatures.errors import StoreError

OURS = 77
SCHEMA = ("CREATE TABLE notes (text TEXT)", f"PRAGMA application_id={OURS}")


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


def ready(db: sqlite3.Connection, path: Path, *schema: str, patience_s: float = 5.0) -> None:
    prepare(db, path, schema or SCHEMA, application_id=OURS, holder="a file of notes", patience_s=patience_s)


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


def test_an_empty_file_gets_its_tables_and_its_kind(path: Path) -> None:
    with closing(opened(path)) as db:
        db.execute("PRAGMA synchronous=OFF")
        ready(db, path)
        db.execute("INSERT INTO notes VALUES ('one')")
        assert db.execute("PRAGMA application_id").fetchone() == (OURS,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"


def test_a_file_of_ours_is_opened_as_it_is(path: Path) -> None:
    with closing(opened(path)) as db:
        ready(db, path)
        db.execute("INSERT INTO notes VALUES ('one')")
    with closing(opened(path)) as db:
        db.execute("PRAGMA synchronous=OFF")
        ready(db, path, "CREATE TABLE another (n INTEGER)")
        assert db.execute("SELECT text FROM notes").fetchall() == [("one",)]
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("notes",)]
        assert db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL, which a file does not remember"


@pytest.mark.parametrize("theirs", ["CREATE TABLE mine (n INTEGER)", f"PRAGMA application_id={OURS + 1}"])
def test_another_programs_file_is_refused_and_left_alone(path: Path, theirs: str) -> None:
    with closing(opened(path)) as db:
        db.execute(theirs)
    before = path.read_bytes()
    with closing(opened(path)) as db, pytest.raises(StoreError) as refused:
        ready(db, path)
    assert str(refused.value) == f"{path}: is another program's database, not a file of notes"
    assert path.read_bytes() == before


def test_a_schema_that_fails_leaves_a_file_that_is_still_empty(path: Path) -> None:
    with closing(opened(path)) as db:
        with pytest.raises(sqlite3.OperationalError, match="syntax error"):
            ready(db, path, *SCHEMA, "no statement")
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        assert db.execute("PRAGMA application_id").fetchone() == (0,)
        ready(db, path)
        assert db.execute("SELECT count(*) FROM notes").fetchone() == (0,)


def test_who_prepares_while_another_writes_waits_only_so_long(path: Path, db: sqlite3.Connection) -> None:
    db.execute(f"PRAGMA application_id={OURS}")
    with closing(opened(path)) as other, transaction(db), pytest.raises(sqlite3.OperationalError, match="locked"):
        ready(other, path, patience_s=0.05)


def test_those_that_prepare_a_file_at_once_make_its_tables_once(path: Path) -> None:
    def one(_: int) -> int:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as db:
            ready(db, path, patience_s=30)
            db.execute("INSERT INTO notes VALUES ('one')")
            return int(db.execute("PRAGMA application_id").fetchone()[0])

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(6))) == [OURS] * 6
    with closing(opened(path)) as db:
        assert db.execute("SELECT count(*) FROM notes").fetchone() == (6,)
