"""The promotion ledger: which release was challenger and champion, why, and which gaps are open; append-only, chained.

The registry's aliases have no history, and deleting a version drops them without a word. What was is here; status
compares the two. Whoever can write the file can write all of it anew: each entry's head is therefore mirrored into
MLflow, where a run says it was there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AwareDatetime, Field, ValidationError

from controllers.chained import ChainedTable, one_moment
from controllers.sqlite import store_errors, transaction
from optimizers.gate.holdout_ledger import Head
from signatures.digest import canonical_json
from signatures.errors import StoreError, UsageError
from signatures.records import Record
from signatures.release import Name

_TABLE: Final = ChainedTable(
    name="promotions",
    columns=("kind TEXT NOT NULL", "body TEXT NOT NULL"),
    application_id=0x54494C41,
    holder="promotion ledger",
)
Number = Annotated[str, Field(pattern=r"^[1-9][0-9]*$")]
"""Of a registered model's version."""
Evidence = Annotated[tuple[str, ...], Field(min_length=1)]
"""What was seen, a line each."""


class Challenged(Record):
    """A release was registered and is to be champion; the alias is set next, and nothing decides by it yet."""

    kind: Literal["challenged"] = "challenged"
    name: Name
    version: Number
    release: str
    candidate: str
    "digests"
    from_version: Number | None
    "the champion at that time; None: there was none"
    certificate: str | None
    "digest of the gate's certificate"
    ungated: str
    "why there is none; empty where there is one"
    at: AwareDatetime


class Activated(Record):
    """A canary passed, and the release became champion: `from_version` became the previous champion."""

    kind: Literal["activated"] = "activated"
    name: Name
    version: Number
    release: str
    candidate: str
    from_version: Number | None
    certificate: str | None
    ungated: str
    verdict: str
    "of the canary"
    evidence: Evidence
    at: AwareDatetime


class GapOpened(Record):
    """A canary or a rollback showed that production would not make the decisions of this release."""

    kind: Literal["gap opened"] = "gap opened"
    name: Name
    version: Number
    release: str
    candidate: str
    from_version: Number | None
    "the champion, which stays"
    certificate: str | None
    ungated: str
    verdict: str
    evidence: Evidence
    next_step: str = Field(min_length=1)
    at: AwareDatetime

    @property
    def key(self) -> tuple[str, str]:
        """Names the gap: version and release."""
        return self.version, self.release


class GapClosed(Record):
    """A canary passed, which ends the gap of this version and release."""

    kind: Literal["gap closed"] = "gap closed"
    name: Name
    version: Number
    release: str
    candidate: str
    verdict: str
    evidence: Evidence
    at: AwareDatetime

    @property
    def key(self) -> tuple[str, str]:
        """The gap that it ends."""
        return self.version, self.release


class RolledBack(Record):
    """A champion of before is champion again: `version`, and not `from_version` any more."""

    kind: Literal["rolled back"] = "rolled back"
    name: Name
    version: Number
    release: str
    candidate: str
    from_version: Number | None
    certificate: str | None
    ungated: str
    verdict: str
    "why"
    evidence: Evidence
    at: AwareDatetime


Entry: TypeAlias = Challenged | Activated | GapOpened | GapClosed | RolledBack
_KINDS: Final[Mapping[str, type[Entry]]] = MappingProxyType(
    {
        "challenged": Challenged,
        "activated": Activated,
        "gap opened": GapOpened,
        "gap closed": GapClosed,
        "rolled back": RolledBack,
    }
)


def ledger_path(root: Path, name: str) -> Path:
    """The one ledger of a registered model's promotions below a run root."""
    return root / f"promotions-{name}.db"


def ledger_there(root: Path, name: str) -> Path:
    """The ledger's path. Raises UsageError where nothing was promoted with this run root: a second ledger of one model
    would know half of its history.
    """
    path = ledger_path(root, name)
    if not path.is_file():
        raise UsageError(f"{path}: is missing; no version of {name} was promoted with this run root")
    return path


class PromotionLedger:
    """One file of one registered model, for any number of processes; nothing is added where the chain is broken."""

    def __init__(self, path: Path) -> None:
        """Open the ledger, or make it. Raises StoreError, as every method does, also where a row was touched."""
        self.path = path
        with store_errors(path, "open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _TABLE.connect(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        self._db.close()

    def add(self, entry: Entry) -> Head:
        """Add an entry to the end of the chain and read it back; the ledger's end with it.

        Raises UsageError for an entry of another model, and for the end of a gap that is not open; StoreError also
        where something else is read back.
        """
        with store_errors(self.path, "write"), transaction(self._db):
            before = [held for held, _ in self._walk()]
            self._require_fits(entry, before)
            _TABLE.extend(self._db, [(entry.kind, canonical_json(entry))])
        found = self._read()[len(before) :]
        if not found or found[0][0] != entry:
            raise StoreError(f"{self.path}: row {len(before) + 1} was written and does not read back")
        return found[0][1]

    def entries(self) -> tuple[Entry, ...]:
        """All entries, oldest first."""
        return tuple(entry for entry, _ in self._read())

    def head(self) -> Head:
        """The end of the chain, all of it verified."""
        return [Head(rows=0), *(head for _, head in self._read())][-1]

    def open_gaps(self) -> tuple[GapOpened, ...]:
        """The gaps that no canary has closed, each as it was last seen, oldest first."""
        return _open(self.entries())

    def champion(self) -> Activated | RolledBack | None:
        """The last entry that made a version champion: what the alias should say. None: there was none."""
        moves = [entry for entry in self.entries() if isinstance(entry, Activated | RolledBack)]
        return moves[-1] if moves else None

    def _require_fits(self, entry: Entry, before: list[Entry]) -> None:
        if before and before[0].name != entry.name:
            raise UsageError(f"{self.path}: is the ledger of {before[0].name}, not of {entry.name}")
        if isinstance(entry, GapClosed) and entry.key not in [gap.key for gap in _open(before)]:
            raise UsageError(f"{self.path}: version {entry.version} of {entry.name} has no open gap to close")

    def _read(self) -> list[tuple[Entry, Head]]:
        with store_errors(self.path, "read"), one_moment(self._db):
            return list(self._walk())

    def _walk(self) -> Iterator[tuple[Entry, Head]]:
        for seq, (kind, body), chain in _TABLE.walk(self._db, self.path):
            try:
                entry = _KINDS[kind].model_validate_json(body)
            except (KeyError, ValidationError) as error:
                raise StoreError(f"{self.path}: row {seq} is no entry of a promotion ledger of this version") from error
            yield entry, Head(rows=seq, chain=chain)


def _open(entries: tuple[Entry, ...] | list[Entry]) -> tuple[GapOpened, ...]:
    gaps: dict[tuple[str, str], GapOpened] = {}
    for entry in entries:
        if isinstance(entry, GapOpened):
            gaps[entry.key] = entry
        elif isinstance(entry, GapClosed):
            gaps.pop(entry.key, None)
    return tuple(gaps.values())


def tags_of(entry: Entry, head: Head) -> dict[str, str]:
    """An entry as the tags of the MLflow run that mirrors it, the ledger's end with it among them."""
    body = {name: value for name, value in entry.content().items() if value is not None and name != "schema_version"}
    plain = {name: "\n".join(value) if isinstance(value, list) else str(value) for name, value in body.items()}
    chain = {"ledger_rows": str(head.rows), "ledger_chain": head.chain}
    return {f"tiller.{name}": text for name, text in {**plain, **chain}.items() if text}
