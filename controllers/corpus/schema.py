"""The layout of a corpus file: its tables, its version, and how a connection to it is opened.

Rows of all three tables draw their number `n` from one sequence, in order of commit: so one number marks a prefix of
the whole corpus. A body is the record's JSON, packed with zstd.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from pydantic import ValidationError

from controllers import RecordT
from controllers.durable import make_folder
from controllers.sqlite import BUSY_TIMEOUT_S, store_errors, transaction, use_wal
from signatures.errors import StoreError, UsageError
from signatures.records import Attempt, Decision, Episode

VERSION: Final = 1
APPLICATION_ID: Final = 0x54494C52
"""Marks the file as ours (`TILR`), so that another program's database is never written to."""

CHECKPOINT_PAGES: Final = 8000
"""The log is folded into the database every 32 MB: less costs more CPU, more makes one commit in a hundred slow."""

CACHE_KIB: Final = 65536
"""Page cache of a writer: ids are random, so each insert touches index pages anywhere."""

AnyRecord = Attempt | Decision | Episode


@dataclass(frozen=True, slots=True)
class Table:
    """Where one kind of record is kept, and by which of its fields `scan` can filter."""

    name: str
    kind: type[Attempt] | type[Decision] | type[Episode]
    columns: tuple[str, ...]
    indexed: tuple[str, ...]
    "few: ids are random, so each index costs an append a page; filtering by another column alone reads the whole table"

    def parse(self, body: bytes | str) -> AnyRecord:
        """The record of this JSON. Raises StoreError."""
        try:
            return self.kind.model_validate_json(body)
        except ValidationError as error:
            raise StoreError(f"a stored {self.kind.__name__} cannot be read: {error}") from error

    def check_columns(self, where: Mapping[str, str]) -> None:
        """Raise UsageError for a filter on what is no column."""
        known = ("id", *self.columns)
        if unknown := [name for name in where if name not in known]:
            raise UsageError(f"{self.name} have no column {unknown[0]!r}; columns: {', '.join(known)}")


TABLES: Final[Mapping[type, Table]] = MappingProxyType(
    {
        table.kind: table
        for table in (
            Table(
                "attempts",
                Attempt,
                ("episode_id", "task_digest", "benchmark", "parent_id", "outcome"),
                ("episode_id", "task_digest"),
            ),
            Table("decisions", Decision, ("episode_id", "policy", "action"), ("episode_id",)),
            Table(
                "episodes",
                Episode,
                ("task_digest", "benchmark", "condition", "candidate", "split"),
                ("task_digest", "condition", "candidate"),
            ),
        )
    }
)

HIGH_WATER: Final = (
    "SELECT max(" + ", ".join(f"coalesce((SELECT max(n) FROM {table.name}), 0)" for table in TABLES.values()) + ")"
)
"""The number of the newest row of all."""


def parse(kind: type[RecordT], body: bytes) -> RecordT:
    """The record of this JSON, of a kind known to the caller. Raises StoreError."""
    record = TABLES[kind].parse(body)
    if not isinstance(record, kind):
        raise TypeError(f"{type(record).__name__} is no {kind.__name__}")
    return record


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode; a file that is not there is created, unless `readonly`.

    Raises StoreError: no such file to read, not a corpus, another schema version, a disk that refuses.
    """
    if readonly and not path.is_file():
        raise StoreError(f"{path}: no such corpus")
    with store_errors(path, "open"):
        if not readonly:
            make_folder(path.parent)
        db = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?{_mode(path, readonly)}",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        with ExitStack() as unless_ready:
            unless_ready.callback(db.close)
            _prepare(db, path, readonly=readonly)
            unless_ready.pop_all()
    return db


def _mode(path: Path, readonly: bool) -> str:
    """How a file is opened. A reader, too, opens for writing where it may, so that the last one out tidies up.

    A corpus at rest on a read-only medium is declared immutable: SQLite could not make its lock file beside it.
    """
    if not readonly:
        return "mode=rwc"
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return "mode=rw"
    return "mode=ro" if path.with_name(path.name + "-wal").exists() else "mode=ro&immutable=1"


def _prepare(db: sqlite3.Connection, path: Path, *, readonly: bool) -> None:
    fresh = _is_fresh(db, path)
    if fresh and readonly:
        raise StoreError(f"{path}: is empty, not a corpus")
    if readonly:
        db.execute("PRAGMA query_only=ON")
        return
    use_wal(db, path)
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA fullfsync=ON")  # macOS: reach the disk, not only its cache
    db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    db.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    if fresh:
        with transaction(db):
            if _is_fresh(db, path):  # else another process was quicker
                _create(db)


def _is_fresh(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the file holds nothing yet. Raises StoreError where it holds something else."""
    # One statement reads one snapshot: another process may be creating the file at this moment.
    version, application, tables = db.execute(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master)"
        " FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    if version == 0 and application == 0 and tables == 0:
        return True
    if application != APPLICATION_ID:
        raise StoreError(f"{path}: is another program's database, not a corpus")
    if version != VERSION:
        raise StoreError(f"{path}: has schema version {version}; this Tiller reads version {VERSION}")
    return False


def _create(db: sqlite3.Connection) -> None:
    for table in TABLES.values():
        columns = ", ".join(f"{name} TEXT" for name in table.columns)
        db.execute(
            f"CREATE TABLE {table.name} (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, {columns}, body BLOB NOT NULL)"
        )
        for name in table.indexed:
            index = f"CREATE INDEX {table.name}_{name} ON {table.name}({name}) WHERE {name} IS NOT NULL"
            db.execute(index)
    db.execute(
        "CREATE TABLE blobs (n INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, body BLOB)"
    )
    db.execute(f"PRAGMA application_id={APPLICATION_ID}")
    db.execute(f"PRAGMA user_version={VERSION}")
