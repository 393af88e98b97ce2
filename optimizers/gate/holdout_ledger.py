"""The holdout ledger's file: a chained table of what was registered, opened and completed.

Whoever can write the file can also write all of it anew, with a chain that fits. That shows only beside a `Head` that
was noted elsewhere, which is why every report prints one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from pydantic import AwareDatetime, Field, ValidationError

from controllers.chained import GENESIS, ChainedTable, one_moment
from controllers.sqlite import store_errors, transaction
from signatures.digest import canonical_json
from signatures.errors import StoreError
from signatures.records import Record

_TABLE: Final = ChainedTable(
    name="entries",
    columns=("kind TEXT NOT NULL", "body TEXT NOT NULL"),
    application_id=0x54494C48,
    holder="holdout ledger",
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
    chain: str = GENESIS


class EntryTable:
    """The rows of one file, for any number of processes; nothing is read or added where the chain is broken."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises StoreError where it is something else or cannot be opened."""
        self.path = path
        with store_errors(path, "open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _TABLE.connect(path)

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
        _TABLE.extend(self._db, [(entry.kind, canonical_json(entry))])

    def read(self) -> tuple[list[Entry], list[Head]]:
        """All entries, oldest first, and the head after each. Raises StoreError naming the first row touched."""
        with store_errors(self.path, "read"), one_moment(self._db):
            found = list(self._walk())
        return [entry for entry, _ in found], [head for _, head in found]

    def _walk(self) -> Iterator[tuple[Entry, Head]]:
        for seq, (kind, body), chain in list(_TABLE.walk(self._db, self.path)):
            yield self._entry(seq, kind, body), Head(rows=seq, chain=chain)

    def _entry(self, seq: int, kind: str, body: str) -> Entry:
        try:
            return _KINDS[kind].model_validate_json(body)
        except (KeyError, ValidationError) as error:
            raise StoreError(f"{self.path}: row {seq} is no entry of a holdout ledger of this version") from error
