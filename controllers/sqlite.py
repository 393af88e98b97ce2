"""What every SQLite file of ours needs: transactions, write-ahead logging, a kind of its own and one kind of error."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from signatures.errors import StoreError

BUSY_TIMEOUT_S: Final = 10.0
BUSY_TRIES: Final = 3


@contextmanager
def store_errors(path: Path, doing: str) -> Iterator[None]:
    """Map what SQLite and the file system raise to StoreError; a lock that did not come free is retryable."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path}: cannot {doing}: {error}", retryable=is_busy(error)) from error


def is_busy(error: Exception) -> bool:
    """Whether another connection's lock is the cause."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """One write transaction, committed at the end and rolled back on any error."""
    _begin(db)
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _begin(db: sqlite3.Connection) -> None:
    for _ in range(BUSY_TRIES - 1):
        try:
            db.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
    db.execute("BEGIN IMMEDIATE")


def use_wal(db: sqlite3.Connection, path: Path, *, patience_s: float = BUSY_TIMEOUT_S) -> None:
    """Switch to write-ahead logging. The switch ignores the busy timeout: processes that start together meet here."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
    if mode != "wal":
        raise StoreError(f"{path}: this file system does not allow a write-ahead log (journal mode {mode})")


def prepare(
    db: sqlite3.Connection,
    path: Path,
    schema: Iterable[str],
    *,
    application_id: int,
    holder: str,
    patience_s: float = BUSY_TIMEOUT_S,
) -> None:
    """Make an append-safe file of one kind ready: write-ahead log, each commit on disk when it returns, its tables.

    `schema` is run where the file holds nothing yet, and sets `application_id`. Raises StoreError where the file is
    another program's and not `holder`, sqlite3.Error.
    """
    _is_fresh(db, path, application_id=application_id, holder=holder)
    use_wal(db, path, patience_s=patience_s)
    db.execute("PRAGMA synchronous=FULL")
    with transaction(db):
        if _is_fresh(db, path, application_id=application_id, holder=holder):
            for statement in schema:
                db.execute(statement)


def _is_fresh(db: sqlite3.Connection, path: Path, *, application_id: int, holder: str) -> bool:
    """Whether the file holds nothing yet. Raises StoreError where it holds something else than `holder`."""
    # In this order: another process that makes the file at this moment sets both in one commit.
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if application != application_id and (application or tables):
        raise StoreError(f"{path}: is another program's database, not {holder}")
    return bool(application != application_id)
