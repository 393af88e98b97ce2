"""Importing: recordings that something else made, turned into attempts and episodes of a corpus and verdicts beside it.

A format is one file, `from_<id>.py`, which exports one class. It reads only the fields it names: what a source knows
of the answer (targets, gold actions, metadata, a simulated user's instruction) has no way in, and its scores go to
the verdict ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from experiments.importing.recording import Recording


class Given(NamedTuple):
    """What the caller says, because a source may not."""

    benchmark: str | None = None
    "the benchmark's id; None: the source's own name for it"
    model: str | None = None
    "the worker's model; None: as the source says"
    score: str | None = None
    "which of several scores is the verdict; None: the first"


class Source(Protocol):
    """One format of recordings."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """The file names it has, as globs: for a folder of recordings."""

    def recordings(self, file: Path, given: Given) -> Iterator[tuple[str, Recording]]:
        """Each recorded episode, with its place in the file for messages.

        Reads no more at a time than the format makes it. Raises UsageError naming file and place.
        """
