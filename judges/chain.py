"""The ledger's file: an append-only table in SQLite whose every row is chained to the row before it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from controllers.sqlite import transaction, use_wal
from signatures.errors import StoreError

_APPLICATION_ID: Final = 0x54494C56
_GENESIS: Final = "0" * 64
_BUSY_S: Final = 30.0
_SCHEMA: Final = (
    "CREATE TABLE verdicts (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " episode_id TEXT NOT NULL, body TEXT NOT NULL, chain TEXT NOT NULL)",
    "CREATE INDEX verdicts_episode ON verdicts(episode_id)",
    "CREATE TRIGGER never_edited BEFORE UPDATE ON verdicts BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER never_deleted BEFORE DELETE ON verdicts"
    " BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    f"PRAGMA application_id={_APPLICATION_ID}",
)


class Row(NamedTuple):
    """A verdict on its way into the file."""

    id: str
    episode_id: str
    body: str
    "the verdict as canonical JSON"


class Head(NamedTuple):
    """The end of the chain. Noted elsewhere, it shows even a chain that was rebuilt as a whole."""

    rows: int
    chain: str


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the ledger file, made where there is none: write-ahead log, each commit on disk when it returns.

    It may be handed from thread to thread. Raises StoreError where the file is another program's, sqlite3.Error.
    """
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    with ExitStack() as unless_ready:
        unless_ready.callback(db.close)
        db.text_factory = lambda data: data.decode(errors="surrogateescape")  # a damaged row must still be named
        _is_fresh(db, path)
        use_wal(db, path, patience_s=_BUSY_S)
        db.execute("PRAGMA synchronous=FULL")
        with transaction(db):
            if _is_fresh(db, path):
                for statement in _SCHEMA:
                    db.execute(statement)
        unless_ready.pop_all()
    return db


def extend(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Add rows to the end of the chain, inside the caller's write transaction."""
    tail = db.execute("SELECT chain FROM verdicts ORDER BY seq DESC LIMIT 1").fetchone()
    seq, chain = _last_seq(db), tail[0] if tail else _GENESIS
    for row in rows:
        seq += 1
        chain = _link(chain, seq, *row)
        db.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?)", (seq, *row, chain))


def body_of(db: sqlite3.Connection, id: str) -> str | None:
    """The body of the row of that id, or None."""
    found = db.execute("SELECT body FROM verdicts WHERE id = ?", (id,)).fetchone()
    return found[0] if found else None


def bodies_of_episodes(db: sqlite3.Connection, episode_ids: Iterable[str]) -> list[str]:
    """The bodies of these episodes' rows, oldest first."""
    query = "SELECT body FROM verdicts WHERE episode_id IN (SELECT value FROM json_each(?)) ORDER BY seq"
    return [body for (body,) in db.execute(query, (json.dumps(list(episode_ids)),))]


def walk(db: sqlite3.Connection, path: Path) -> Head:
    """Recompute the whole chain. Raises StoreError naming the first row that was edited, deleted or inserted."""
    db.execute("BEGIN")  # rows and last number of one moment, while others append
    try:
        return _walk(db, path)
    finally:
        db.execute("ROLLBACK")


def _walk(db: sqlite3.Connection, path: Path) -> Head:
    expected, chain = 0, _GENESIS
    for seq, id, episode_id, body, stored in db.execute("SELECT * FROM verdicts ORDER BY seq"):
        expected += 1
        if seq != expected:
            what = f"row {expected} was deleted" if seq > expected else f"row {seq} was inserted"
            raise StoreError(f"{path}: {what}")
        chain = _link(chain, seq, id, episode_id, body)
        if chain != stored:
            raise StoreError(
                f"{path}: row {seq} (verdict {id}) was edited or inserted: it does not follow the one before"
            )
    if _last_seq(db) != expected:
        raise StoreError(f"{path}: row {expected + 1} was deleted")
    return Head(expected, chain)


def _link(previous: str, *row: object) -> str:
    """The chain value of a row: SHA-256 over the previous value and the row (bytes that are no text hash too)."""
    return hashlib.sha256(json.dumps([previous, *row], default=repr).encode()).hexdigest()


def _last_seq(db: sqlite3.Connection) -> int:
    """The number of the last row ever written: SQLite keeps it when the row itself is gone."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'verdicts'").fetchone()
    return int(found[0]) if found else 0


def _is_fresh(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the file holds nothing yet. Raises StoreError where it holds something else."""
    # In this order: another process that makes the file at this moment sets both in one commit.
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    application = int(db.execute("PRAGMA application_id").fetchone()[0])
    if application != _APPLICATION_ID and (application or tables):
        raise StoreError(f"{path}: is another program's database, not a verdict ledger")
    return application != _APPLICATION_ID
