"""An append-only table in an SQLite file whose every row is chained to the row before it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from controllers.sqlite import prepare
from signatures.errors import StoreError

GENESIS: Final = "0" * 64
"""The chain value before the first row."""
_BUSY_S: Final = 30.0


class Link(NamedTuple):
    """A row as it stands in the chain."""

    seq: int
    row: tuple[str, ...]
    chain: str


@dataclass(frozen=True)
class ChainedTable:
    """One kind of ledger: what its table is called and holds between a row's number and its chain value."""

    name: str
    columns: tuple[str, ...]
    "in SQL; the first one names a row in messages"
    application_id: int
    "of the file, so that another program's is told apart"
    holder: str
    "what such a file is, such as `verdict ledger`"
    label: str = "{}"
    "how a message names a row by its first column"
    indexes: tuple[str, ...] = ()

    def connect(self, path: Path) -> sqlite3.Connection:
        """A connection to the file, made where there is none: write-ahead log, each commit on disk when it returns.

        It may be handed from thread to thread. Raises StoreError where the file is another program's, sqlite3.Error.
        """
        db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        with ExitStack() as unless_ready:
            unless_ready.callback(db.close)
            db.text_factory = lambda data: data.decode(errors="surrogateescape")  # a damaged row must still be named
            prepare(
                db,
                path,
                self._schema(),
                application_id=self.application_id,
                holder=f"a {self.holder}",
                patience_s=_BUSY_S,
            )
            unless_ready.pop_all()
        return db

    def extend(self, db: sqlite3.Connection, rows: Iterable[tuple[str, ...]]) -> None:
        """Add rows to the end of the chain, inside the caller's write transaction."""
        tail = db.execute(f"SELECT chain FROM {self.name} ORDER BY seq DESC LIMIT 1").fetchone()
        seq, chain = self._last_seq(db), tail[0] if tail else GENESIS
        places = ", ".join("?" for _ in range(len(self.columns) + 2))
        for row in rows:
            seq += 1
            chain = _link(chain, seq, *row)
            db.execute(f"INSERT INTO {self.name} VALUES ({places})", (seq, *row, chain))

    def walk(self, db: sqlite3.Connection, path: Path) -> Iterator[Link]:
        """All rows, the chain recomputed, in the caller's transaction.

        Raises StoreError naming the first row that was edited, deleted or inserted.
        """
        expected, chain = 0, GENESIS
        for seq, *row, stored in db.execute(f"SELECT * FROM {self.name} ORDER BY seq"):
            expected += 1
            if seq != expected:
                what = f"row {expected} was deleted" if seq > expected else f"row {seq} was inserted"
                raise StoreError(f"{path}: {what}")
            chain = _link(chain, seq, *row)
            if chain != stored:
                which = self.label.format(row[0])
                raise StoreError(
                    f"{path}: row {seq} ({which}) was edited or inserted: it does not follow the one before"
                )
            yield Link(seq, tuple(row), chain)
        if self._last_seq(db) != expected:
            raise StoreError(f"{path}: row {expected + 1} was deleted")

    def _schema(self) -> Iterator[str]:
        yield (
            f"CREATE TABLE {self.name} (seq INTEGER PRIMARY KEY AUTOINCREMENT, {', '.join(self.columns)},"
            " chain TEXT NOT NULL)"
        )
        yield from self.indexes
        for trigger, event in (("never_edited", "UPDATE"), ("never_deleted", "DELETE")):
            refuses = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
            yield f"CREATE TRIGGER {trigger} BEFORE {event} ON {self.name} {refuses}"
        yield f"PRAGMA application_id={self.application_id}"

    def _last_seq(self, db: sqlite3.Connection) -> int:
        """The number of the last row ever written: SQLite keeps it when the row itself is gone."""
        found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (self.name,)).fetchone()
        return int(found[0]) if found else 0


@contextmanager
def one_moment(db: sqlite3.Connection) -> Iterator[None]:
    """A read transaction: rows and last number of one moment, while others append."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


def _link(previous: str, *row: object) -> str:
    """The chain value of a row: SHA-256 over the previous value and the row (bytes that are no text hash too)."""
    return hashlib.sha256(json.dumps([previous, *row], default=repr).encode()).hexdigest()
