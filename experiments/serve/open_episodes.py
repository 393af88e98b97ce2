"""Which episodes were begun, under which release, and what a model wrote in them: what the corpus does not say.

One SQLite file per registered model; several servers may share it, as they may share the corpus.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple, Self

from controllers.spec import EpisodeSpec
from controllers.sqlite import BUSY_TIMEOUT_S, prepare, store_errors
from experiments.serve.batches import Batches, Value

APPLICATION_ID: Final = 0x54494C53
"""Marks the file as ours (`TILS`)."""
_SCHEMA: Final = (
    "CREATE TABLE episodes (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT UNIQUE, release TEXT NOT NULL,"
    " spec TEXT NOT NULL, opened_s REAL NOT NULL, ended_s REAL)",
    "CREATE INDEX under_way ON episodes (opened_s) WHERE ended_s IS NULL",
    "CREATE TABLE steers (episode TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (episode, key))"
    " WITHOUT ROWID",
    f"PRAGMA application_id={APPLICATION_ID}",
)

_UNDER_WAY: Final = "SELECT count(*) FROM episodes WHERE ended_s IS NULL AND opened_s > ?"


class Room(NamedTuple):
    """How many episodes may be under way, of those that were begun since then."""

    since_s: float
    most: int


class Begun(NamedTuple):
    """An episode that was begun: all that is needed to go on with it, beside its release and the corpus."""

    id: str
    release: str
    spec: EpisodeSpec
    opened_s: float
    ended_s: float | None


class OpenEpisodes:
    """The file at `path`, made where it is missing. Raises StoreError where it cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with store_errors(path, "open"), ExitStack() as unless_ready:
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = self._connected()
            unless_ready.callback(writer.close)
            prepare(writer, path, _SCHEMA, application_id=APPLICATION_ID, holder="one of served episodes")
            self._reader = self._connected()
            unless_ready.pop_all()
        self._writer = writer
        self._batches = Batches(writer, path)

    async def begin(self, begun: Begun, key: str | None, room: Room) -> Begun | None:
        """Keep the episode; what stands under its key, or its id, then: this one, or the one that was there before.

        None where there is neither, nor room: that is looked at as it is written, whatever other servers begin.
        Raises StoreError.
        """
        row = (begun.id, key, begun.release, begun.spec.model_dump_json(), begun.opened_s)
        fresh = await self._batches.run(
            "INSERT INTO episodes (id, key, release, spec, opened_s) SELECT ?, ?, ?, ?, ?"
            f" WHERE ({_UNDER_WAY}) < ? ON CONFLICT DO NOTHING",
            *row,
            *room,
        )
        if fresh:
            return begun
        return self.of_key(key) if key is not None else self.get(begun.id)

    async def end(self, id: str, at_s: float) -> None:
        """Say that the episode is over."""
        await self._batches.run("UPDATE episodes SET ended_s = ? WHERE id = ? AND ended_s IS NULL", at_s, id)

    def get(self, id: str) -> Begun | None:
        """The episode of that id. Raises StoreError."""
        return self._one("id", id)

    def of_key(self, key: str) -> Begun | None:
        """The episode that was begun under that key. Raises StoreError."""
        return self._one("key", key)

    def under_way(self, since_s: float) -> int:
        """Episodes begun since then that have not ended. Raises StoreError."""
        return int(self._read(_UNDER_WAY, since_s)[0][0])

    async def recall(self, episode_id: str, key: str) -> str | None:
        """A `WrittenSteers`: what a model wrote there before."""
        found = self._read("SELECT body FROM steers WHERE episode = ? AND key = ?", episode_id, key)
        return str(found[0][0]) if found else None

    async def keep(self, episode_id: str, key: str, body: str) -> None:
        """Keep what a model wrote; the first stands."""
        await self._batches.run("INSERT INTO steers VALUES (?, ?, ?) ON CONFLICT DO NOTHING", episode_id, key, body)

    async def close(self) -> None:
        """Write what is on its way, then let go of the file. Twice is once."""
        await self._batches.settle()
        self._reader.close()
        self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def _connected(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)

    def _one(self, column: str, value: str) -> Begun | None:
        found = self._read(f"SELECT id, release, spec, opened_s, ended_s FROM episodes WHERE {column} = ?", value)
        if not found:
            return None
        id, release, spec, opened_s, ended_s = found[0]
        return Begun(id, release, EpisodeSpec.model_validate_json(spec), opened_s, ended_s)

    def _read(self, sql: str, *values: Value) -> list[tuple[str, str, str, float, float | None]]:
        with store_errors(self.path, "read"):
            return self._reader.execute(sql, values).fetchall()
