"""What one transaction stores: units, each whole or not at all, none twice.

A record that the corpus holds already is passed over; one of the same id with other content refuses its unit and
leaves the others alone. Contents are compared only where ids meet, so that a new record costs no digest.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from controllers.corpus.blobs import SMALL_BYTES, Blob, Packer
from controllers.corpus.schema import HIGH_WATER, TABLES, AnyRecord, Table
from controllers.sqlite import transaction
from signatures.errors import StoreError

Known = dict[tuple[str, str], AnyRecord]
Fate = StoreError | None
"""What became of a unit: None is stored."""


class Row(NamedTuple):
    """A record on its way into its table."""

    table: Table
    record: AnyRecord
    body: bytes
    "the record's JSON"

    @classmethod
    def of(cls, record: AnyRecord) -> Row:
        """Serialise `record`."""
        return cls(TABLES[type(record)], record, record.model_dump_json().encode())

    @property
    def key(self) -> tuple[str, str]:
        """Table and id."""
        return self.table.name, self.record.id


@dataclass(frozen=True, slots=True)
class Unit:
    """What one call of `append` stores."""

    rows: Sequence[Row]
    blobs: Sequence[Blob]

    @property
    def size(self) -> int:
        """Raw bytes."""
        return sum(len(row.body) for row in self.rows) + sum(len(blob.data) for blob in self.blobs)


def store(db: sqlite3.Connection, packer: Packer, units: Sequence[Unit]) -> list[Fate]:
    """Store all units in one transaction. Raises sqlite3.Error where nothing of it was stored."""
    packed = _pack_new(db, packer, [blob for unit in units for blob in unit.blobs])
    fates: list[Fate] = []
    fresh: dict[tuple[str, str], Row] = {}
    blobs: dict[str, Blob] = {}
    with transaction(db):
        known = _stored(db, packer, [row for unit in units for row in unit.rows])
        for unit in units:
            try:
                rows = _fresh(unit, known)
            except StoreError as refusal:
                fates.append(refusal)
                continue
            fates.append(None)
            fresh |= rows
            known |= {key: row.record for key, row in rows.items()}
            blobs |= {blob.digest: blob for blob in unit.blobs if blob.digest in packed}
        _insert_rows(db, packer, fresh.values())
        db.executemany(
            "INSERT INTO blobs (digest, size, body) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING",
            [(digest, len(blob.data), packed[digest]) for digest, blob in blobs.items()],
        )
    return fates


def same_content(one: AnyRecord, other: AnyRecord) -> bool:
    """Whether two records have equal content digests; measured fields may differ."""
    return one == other or one.content() == other.content()


def refuse_other(stored: AnyRecord, record: AnyRecord) -> None:
    """Raise StoreError where two records of one id differ in content."""
    if not same_content(stored, record):
        raise StoreError(
            f"{type(record).__name__} {record.id} is stored with other content: "
            f"{stored.content_digest()}, not {record.content_digest()}"
        )


def _fresh(unit: Unit, known: Known) -> dict[tuple[str, str], Row]:
    """The rows of a unit that are not stored yet. Raises StoreError where one contradicts what is."""
    fresh: dict[tuple[str, str], Row] = {}
    for row in unit.rows:
        stored = known.get(row.key) or (fresh[row.key].record if row.key in fresh else None)
        if stored is None:
            fresh[row.key] = row
        else:
            refuse_other(stored, row.record)
    return fresh


def _stored(db: sqlite3.Connection, packer: Packer, rows: Sequence[Row]) -> Known:
    """The stored records whose ids are among those of `rows`."""
    known: Known = {}
    for table in TABLES.values():
        ids = [row.record.id for row in rows if row.table is table]
        if not ids:
            continue
        sql = f"SELECT id, body FROM {table.name} WHERE id IN (SELECT value FROM json_each(?))"
        for id, body in db.execute(sql, (json.dumps(ids),)).fetchall():
            known[table.name, id] = table.parse(packer.unpack(body, f"{table.name} {id}"))
    return known


def _pack_new(db: sqlite3.Connection, packer: Packer, blobs: Sequence[Blob]) -> dict[str, bytes | None]:
    """Digest -> frame of each blob that is not stored yet; None where it stands in a file."""
    wanted = json.dumps([blob.digest for blob in blobs])
    sql = "SELECT digest FROM blobs WHERE digest IN (SELECT value FROM json_each(?))"
    stored = {digest for (digest,) in db.execute(sql, (wanted,)).fetchall()}
    new = {blob.digest: blob.data for blob in blobs if blob.digest not in stored}
    small = {digest: data for digest, data in new.items() if len(data) < SMALL_BYTES}
    packed = dict(zip(small, packer.pack_all([*small.values()]), strict=True))
    return {digest: packed.get(digest) for digest in new}


def _insert_rows(db: sqlite3.Connection, packer: Packer, rows: Collection[Row]) -> None:
    """Number the rows from the high water on, across tables in the order given."""
    (first,) = db.execute(HIGH_WATER).fetchone()
    bodies = packer.pack_all([row.body for row in rows])
    numbered = list(enumerate(zip(rows, bodies, strict=True), first + 1))
    for table in TABLES.values():
        names = ("id", *table.columns)
        values = attrgetter(*names)
        marks = ", ".join("?" * (len(names) + 2))
        db.executemany(
            f"INSERT INTO {table.name} (n, {', '.join(names)}, body) VALUES ({marks})",
            [(n, *values(row.record), body) for n, (row, body) in numbered if row.table is table],
        )
