"""What is sealed: the manifest of a folder of segments, a log whose rows are written last.

A row names a segment that is whole and on disk, and the segments that it replaces; those may be deleted once the row
is durable. A mark says up to which journal row all tables are sealed. Readers see nothing beyond the last mark, so that
what they read is one prefix of the corpus, whatever moment a sealing process was killed at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from controllers.corpus.columns import LAYOUT, Kind
from controllers.jsonlog import read_jsonlog
from signatures.errors import StoreError
from signatures.records import Record

MANIFEST: Final = "manifest.jsonl"
SEGMENT_NAME: Final = re.compile(r"^(attempts|decisions|episodes)-\d{12,}-\d{12,}\.parquet$")


class Segment(Record):
    """One Parquet file of rows of one kind, in order of arrival."""

    row: Literal["segment"] = "segment"
    file: str = Field(pattern=SEGMENT_NAME)
    kind: Kind
    first_n: int = Field(ge=1)
    "journal row of the first record"
    last_n: int = Field(ge=1)
    last_id: str
    "id of the last record: the journal must hold it there, or the segments are of another corpus"
    rows: int = Field(ge=1)
    bytes: int = Field(ge=1)
    sha256: str
    footer_crc32: int
    "of the file's end, which says where what is"
    column_crc32: Mapping[str, int]
    "of each column's bytes, with the headers of its pages, which Parquet's own checksums leave out"
    layout: int = LAYOUT
    replaces: tuple[str, ...] = ()
    "files whose rows are in this one"


class Mark(Record):
    """All tables are sealed up to this journal row."""

    row: Literal["mark"] = "mark"
    sealed_n: int = Field(ge=0)


_ROW: Final[TypeAdapter[Segment | Mark]] = TypeAdapter(Annotated[Segment | Mark, Field(discriminator="row")])


@dataclass(frozen=True)
class Manifest:
    """A folder's segments that count, and how far a reader may go."""

    segments: tuple[Segment, ...] = ()
    "those that no other replaces, in the order they were sealed"
    sealed_n: int | None = None
    "the last mark; None: no sealing has come to its end"

    def of(self, kind: Kind) -> tuple[Segment, ...]:
        """The segments of a kind, oldest rows first."""
        return tuple(segment for segment in self.segments if segment.kind == kind)


def segments_of(corpus: Path) -> Path:
    """Where the segments of the corpus at that path are: the folder `<database>.segments` beside it."""
    return corpus.with_name(corpus.name + ".segments")


def remedy(folder: Path) -> str:
    """What to do about a damaged folder, for messages."""
    return f"remove the folder {folder} and seal again: the corpus itself holds all of it"


def read_manifest(folder: Path) -> Manifest:
    """What is sealed in `folder`; nothing where there is no manifest. Raises StoreError naming a row that is wrong."""
    live: dict[str, Segment] = {}
    sealed_n: int | None = None
    for number, row in _rows(folder):
        if isinstance(row, Mark):
            sealed_n = row.sealed_n
            continue
        where = f"{folder / MANIFEST}:{number}"
        if row.layout != LAYOUT:
            raise StoreError(f"{where}: has layout {row.layout}; this Tiller reads layout {LAYOUT}: {remedy(folder)}")
        known = all(name in live for name in row.replaces)
        live = {name: segment for name, segment in live.items() if name not in row.replaces}
        before = max((segment.last_n for segment in live.values() if segment.kind == row.kind), default=0)
        if not known or row.file in live or not before < row.first_n <= row.last_n:
            raise StoreError(f"{where}: {row.file} does not follow the rows before: was it edited? {remedy(folder)}")
        live[row.file] = row
    return Manifest(tuple(live.values()), sealed_n)


def _rows(folder: Path) -> Iterator[tuple[int, Segment | Mark]]:
    for number, entry in enumerate(read_jsonlog(folder / MANIFEST), 1):
        try:
            yield number, _ROW.validate_json(json.dumps(entry))
        except ValidationError as error:
            raise StoreError(f"{folder / MANIFEST}:{number}: is no row of a manifest: {remedy(folder)}") from error
