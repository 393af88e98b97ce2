"""What every SQLite file of ours needs: transactions, write-ahead logging and one kind of error.

Used by the corpus and by the verdict ledger, which share nothing else.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
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
