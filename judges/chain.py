"""The verdict ledger's file: a chained table of verdicts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from controllers.chained import GENESIS, ChainedTable, one_moment

_TABLE: Final = ChainedTable(
    name="verdicts",
    columns=("id TEXT NOT NULL UNIQUE", "episode_id TEXT NOT NULL", "body TEXT NOT NULL"),
    application_id=0x54494C56,
    holder="verdict ledger",
    label="verdict {}",
    indexes=("CREATE INDEX verdicts_episode ON verdicts(episode_id)",),
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
    """A connection to the ledger file, made where there is none. Raises as `ChainedTable.connect`."""
    return _TABLE.connect(path)


def extend(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Add rows to the end of the chain, inside the caller's write transaction."""
    _TABLE.extend(db, rows)


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
    head = Head(0, GENESIS)
    with one_moment(db):
        for link in _TABLE.walk(db, path):
            head = Head(link.seq, link.chain)
    return head
