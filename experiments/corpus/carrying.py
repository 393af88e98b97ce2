"""Carrying a corpus to and from a folder of datasets, and sealing it to columnar segments."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from experiments.corpus.looking import existing, listed, size


class SealedCounts(TypedDict):
    """What `seal` prints."""

    folder: str
    sealed_n: int
    "all records are sealed up to this row of the journal"
    rows: dict[str, int]
    "sealed by this call"
    segments: int
    bytes: int
    verified: bool


async def export_corpus(path: Path, folder: Path) -> None:
    """Write the corpus at `path` to a new `folder`. Raises UsageError and StoreError."""
    from controllers.corpus import SqliteCorpus, export_dataset

    async with SqliteCorpus.open_readonly(existing(path)) as corpus:
        await export_dataset(corpus, folder)


async def import_corpus(folder: Path, path: Path) -> None:
    """Append an export to the corpus at `path`. Raises UsageError, before a corpus is made, and StoreError."""
    from controllers.corpus import SqliteCorpus, import_dataset
    from controllers.corpus.dataset import check_dataset

    check_dataset(folder)
    async with SqliteCorpus(path) as corpus:
        await import_dataset(folder, corpus)


async def seal_corpus(path: Path, *, verify: bool = False) -> SealedCounts:
    """Seal the corpus at `path`; `verify` reads every sealed byte. Raises UsageError and StoreError."""
    from controllers.corpus import SqliteCorpus
    from controllers.corpus.segments import Segments, seal, segments_of

    async with SqliteCorpus.open_readonly(existing(path)) as corpus:
        done = await seal(corpus, segments_of(path))
    if verify:
        Segments(done.folder).verify()
    return {
        "folder": str(done.folder),
        "sealed_n": done.sealed_n,
        "rows": dict(done.rows),
        "segments": done.segments,
        "bytes": done.bytes,
        "verified": verify,
    }


def sealed_line(sealed: SealedCounts) -> str:
    """What `seal` did, for people."""
    new = listed(sealed["rows"])
    held = f"{sealed['segments']} segments, {size(sealed['bytes'])}{', verified' if sealed['verified'] else ''}"
    return f"{sealed['folder']}: sealed {new} (now {held})"
