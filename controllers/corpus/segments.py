"""Sealed segments, read by column: what replay reads instead of the journal.

    await seal(corpus, segments_of(corpus.path))
    attempts = Segments(segments_of(path)).table("attempts", ["task_digest", "action", "value.correct"])

Columns are those of `controllers/corpus/columns.py`. A segment that is missing, torn or was edited is an error that
names it; `intact()` gives the rows before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from controllers.corpus.columns import Kind, type_of, united
from controllers.corpus.manifest import Manifest, Segment, read_manifest, segments_of
from controllers.corpus.sealing import Sealed, Sizes, seal
from controllers.corpus.segment_file import check_segment, read_segment
from signatures.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Sealed", "Segments", "Sizes", "seal", "segments_of"]

T = TypeVar("T")
TRIES: Final = 8


class Segments:
    """What was sealed when this was made: one prefix of the corpus, however it grows meanwhile."""

    def __init__(self, folder: Path, *, until: int | None = None) -> None:
        """Read the manifest. `until` ends the prefix at an earlier journal row than the last sealed one.

        Raises StoreError where nothing is sealed or the manifest cannot be read.
        """
        self.folder = folder
        self._manifest = read_manifest(folder)
        if self._manifest.sealed_n is None:
            raise StoreError(f"{folder}: nothing is sealed here; seal the corpus first")
        self.sealed_n = min(self._manifest.sealed_n, self._manifest.sealed_n if until is None else until)
        "the last journal row that is read"

    def table(self, kind: Kind, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of a kind in order of arrival, with these columns in this order, or with all.

        Raises UsageError for a column that the layout does not have, StoreError naming a file that is missing, torn
        or was edited.
        """
        for name in columns or ():
            type_of(kind, name)
        return self._tried(lambda manifest: united(kind, self._parts(manifest, kind, columns), columns))

    def verify(self) -> int:
        """Check every byte of every segment; their number. Raises StoreError naming the first that is damaged."""

        def check(manifest: Manifest) -> int:
            for segment in manifest.segments:
                check_segment(self.folder, segment)
            return len(manifest.segments)

        return self._tried(check)

    def intact(self) -> Segments:
        """The rows before the first damaged segment, after a look at every byte of all. Raises StoreError."""

        def bound(manifest: Manifest) -> int:
            starts = [segment.first_n for segment in manifest.segments if not self._is_sound(segment)]
            if starts and self._has_changed(manifest):
                raise StoreError(f"{self.folder}: was sealed again")
            return min([self.sealed_n, *(first - 1 for first in starts)])

        return Segments(self.folder, until=self._tried(bound))

    def _tried(self, work: Callable[[Manifest], T]) -> T:
        """Do it, again where it failed because a sealing replaced the files meanwhile. Raises StoreError."""
        manifest = self._manifest
        for _ in range(TRIES):
            try:
                return work(manifest)
            except StoreError:
                if not self._has_changed(manifest):
                    raise
                manifest = read_manifest(self.folder)
        raise StoreError(f"{self.folder}: is sealed again and again while it is read", retryable=True)

    def _has_changed(self, manifest: Manifest) -> bool:
        return read_manifest(self.folder).segments != manifest.segments

    def _parts(self, manifest: Manifest, kind: Kind, columns: Sequence[str] | None) -> list[pa.Table]:
        live = [segment for segment in manifest.of(kind) if segment.first_n <= self.sealed_n]
        return [read_segment(self.folder, segment, columns, until=self.sealed_n) for segment in live]

    def _is_sound(self, segment: Segment) -> bool:
        try:
            check_segment(self.folder, segment)
        except StoreError:
            return False
        return True
