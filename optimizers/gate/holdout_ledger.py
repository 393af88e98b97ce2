"""The holdout ledger's file: an append-only table in SQLite whose every row is chained to the row before it.

Whoever can write the file can also write all of it anew, with a chain that fits. That shows only beside a `Head` that
was noted elsewhere, which is why every report prints one.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from pydantic import AwareDatetime, Field, ValidationError

from controllers.sqlite import store_errors, transaction, use_wal
from signatures.digest import canonical_json
from signatures.errors import StoreError
from signatures.records import Record

_APPLICATION_ID: Final = 0x54494C48
_GENESIS: Final = "0" * 64
_BUSY_S: Final = 30.0
_SCHEMA: Final = (
    "CREATE TABLE entries (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, body TEXT NOT NULL,"
    " chain TEXT NOT NULL)",
    "CREATE TRIGGER never_edited BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER never_deleted BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    f"PRAGMA application_id={_APPLICATION_ID}",
)


class Registered(Record):
    """What will be decided on a slice was written down."""

    kind: Literal["registered"] = "registered"
    registration: str
    "digest of the registration"
    candidate: str
    seal: str
    at: AwareDatetime


class Opened(Record):
    """A candidate's read of a slice began, or went on after an interruption: one entry each time."""

    kind: Literal["opened"] = "opened"
    read: str
    "names the read: one candidate on one seal"
    registration: str
    candidate: str
    slice: str
    "the slice's name"
    seal: str
    contents: tuple[str, ...]
    "content digests of the tasks: what is spent from now on, under any name"
    at: AwareDatetime


class Completed(Record):
    """A read has all its verdicts."""

    kind: Literal["completed"] = "completed"
    read: str
    verdicts: str
    "digest of the verdicts: no others can stand for this read"
    at: AwareDatetime


Entry: TypeAlias = Registered | Opened | Completed
_KINDS: Final[Mapping[str, type[Entry]]] = MappingProxyType(
    {"registered": Registered, "opened": Opened, "completed": Completed}
)


class Head(Record):
    """The end of the chain."""

    rows: int = Field(ge=0)
    chain: str = _GENESIS


class EntryTable:
    """The rows of one file, for any number of processes; nothing is read or added where the chain is broken."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises StoreError where it is something else or cannot be opened."""
        self.path = path
        with store_errors(path, "open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _connect(path)

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[list[Entry]]:
        """All entries so far, in a transaction that keeps other writers out; `add` is for its inside.

        Raises StoreError, also where a row was touched.
        """
        with store_errors(self.path, "write"), transaction(self._db):
            yield [entry for entry, _ in self._walk()]

    def add(self, entry: Entry) -> None:
        """Add an entry to the end of the chain, inside `writing`."""
        tail = self._db.execute("SELECT seq, chain FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        seq, previous = tail if tail else (0, _GENESIS)
        row = (seq + 1, entry.kind, canonical_json(entry))
        self._db.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", (*row, _link(previous, *row)))

    def read(self) -> tuple[list[Entry], list[Head]]:
        """All entries, oldest first, and the head after each. Raises StoreError naming the first row touched."""
        with store_errors(self.path, "read"):
            self._db.execute("BEGIN")  # rows and last number of one moment, while others write
            try:
                found = list(self._walk())
            finally:
                self._db.execute("ROLLBACK")
        return [entry for entry, _ in found], [head for _, head in found]

    def _walk(self) -> Iterator[tuple[Entry, Head]]:
        expected, chain = 0, _GENESIS
        for seq, kind, body, stored in self._db.execute("SELECT * FROM entries ORDER BY seq").fetchall():
            expected += 1
            if seq != expected:
                what = f"row {expected} was deleted" if seq > expected else f"row {seq} was inserted"
                raise StoreError(f"{self.path}: {what}")
            chain = _link(chain, seq, kind, body)
            if chain != stored:
                raise StoreError(
                    f"{self.path}: row {seq} ({kind}) was edited or inserted: it does not follow the one before"
                )
            yield self._entry(seq, kind, body), Head(rows=seq, chain=chain)
        if _last_seq(self._db) != expected:
            raise StoreError(f"{self.path}: row {expected + 1} was deleted")

    def _entry(self, seq: int, kind: str, body: str) -> Entry:
        try:
            return _KINDS[kind].model_validate_json(body)
        except (KeyError, ValidationError) as error:
            raise StoreError(f"{self.path}: row {seq} is no entry of a holdout ledger of this version") from error


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
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


def _link(previous: str, *row: object) -> str:
    """The chain value of a row: SHA-256 over the previous value and the row (bytes that are no text hash too)."""
    return hashlib.sha256(json.dumps([previous, *row], default=repr).encode()).hexdigest()


def _last_seq(db: sqlite3.Connection) -> int:
    """The number of the last row ever written: SQLite keeps it when the row itself is gone."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
    return int(found[0]) if found else 0


def _is_fresh(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the file holds nothing yet. Raises StoreError where it holds something else."""
    # In this order: another process that makes the file at this moment sets both in one commit.
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    application = int(db.execute("PRAGMA application_id").fetchone()[0])
    if application != _APPLICATION_ID and (application or tables):
        raise StoreError(f"{path}: is another program's database, not a holdout ledger")
    return application != _APPLICATION_ID
