"""What a run learned from beside its own tasks: which corpora, and exactly which sealed segments of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from pydantic import Field

from controllers.corpus.manifest import Manifest
from experiments.places import corpus_path
from experiments.search_config import SearchConfig
from experiments.whole_file import read_whole
from signatures.digest import digest_of
from signatures.errors import StoreError, UsageError
from signatures.records import Record

LEARNED: Final = "learned.json"
"""Kept in the run folder: a resumed run reads the same again."""
ALL: Final = "all"
READ: Final = ("attempts", "episodes")
"""Kinds of segments that are learned from; no decision is looked at."""


class SegmentRead(Record):
    """One sealed file as it was when it was read; a later sealing may have put its rows into another one.

    Episodes are read from the file itself, attempts from the journal that it seals, where their traces are.
    """

    file: str
    kind: str
    first_n: int
    last_n: int
    rows: int
    sha256: str


class CorpusRead(Record):
    """What was read of one corpus."""

    name: str
    "its path below the run root; elsewhere, its whole path"
    until: int = Field(ge=0)
    "journal row that was read up to"
    segments: tuple[SegmentRead, ...]
    episodes: Mapping[str, int]
    "`<benchmark> <split>` -> episodes read"
    left_out: Mapping[str, int]
    "reason -> episodes"
    moves: int = Field(ge=0)
    digest: str
    "of the moves, in their order"


class Learned(Record):
    """All that one run learned from."""

    corpora: tuple[CorpusRead, ...]

    @property
    def digest(self) -> str:
        """Of the moves of all corpora."""
        return digest_of([one.digest for one in self.corpora])

    @property
    def tags(self) -> dict[str, str]:
        """As a tracker takes them; the segments themselves are in the file."""
        segments = [segment for one in self.corpora for segment in one.segments]
        return {
            "tiller.learned": self.digest,
            "tiller.learned.corpora": ", ".join(f"{one.name} to row {one.until}" for one in self.corpora),
            "tiller.learned.segments": str(len(segments)),
            "tiller.learned.rows": str(sum(segment.rows for segment in segments)),
            "tiller.learned.moves": str(sum(one.moves for one in self.corpora)),
        }

    def said(self) -> str:
        """In one line."""
        episodes, left_out = Counter[str](), Counter[str]()
        for one in self.corpora:
            episodes.update(one.episodes)
            left_out.update(one.left_out)
        moves = sum(one.moves for one in self.corpora)
        if not episodes:
            told = f"nothing, of {len(self.corpora)} corpora"
        else:
            told = f"{moves} moves of " + ", ".join(f"{n} {name} episodes" for name, n in sorted(episodes.items()))
        passed = "; ".join(f"{n} {reason}" for reason, n in sorted(left_out.items()))
        return f"learned from {told}" + (f" (not read: {passed})" if passed else "")


def segments_read(manifest: Manifest, until: int) -> tuple[SegmentRead, ...]:
    """The live segments that hold rows up to `until`, of the kinds that are learned from."""
    return tuple(
        SegmentRead(
            file=one.file,
            kind=one.kind,
            first_n=one.first_n,
            last_n=one.last_n,
            rows=one.rows,
            sha256=one.sha256,
        )
        for one in manifest.segments
        if one.first_n <= until and one.kind in READ
    )


def corpora_named(config: SearchConfig, root: Path, benchmark: str) -> tuple[Path, ...]:
    """The corpora that `learn_from` means: files that are there. Raises UsageError for one that is not.

    `all` means `corpus-*.db` below `root` that hold something, and the run's own where it lies elsewhere.
    """
    if config.learn_from is None:
        return ()
    if config.learn_from == ALL:
        named = (path for path in sorted(root.glob("corpus-*.db")) if not path.name.endswith(".verdicts.db"))
        there = [path for path in named if path.is_file() and path.stat().st_size]
        own = corpus_path(config, root, benchmark)
        known = {path.resolve() for path in there}
        return (*there, *([own] if own.is_file() and own.resolve() not in known else []))
    told = (config.learn_from,) if isinstance(config.learn_from, str) else config.learn_from
    for name in told:
        if not Path(name).is_file():
            raise UsageError(f"learn_from: {name}: no such corpus; `all` means every corpus-*.db below {root}")
    return tuple(Path(name) for name in told)


def require_readable(corpora: Iterable[Path]) -> None:
    """Raises UsageError for a corpus that cannot be opened: what is learned is all of them, or the run does not begin.

    Writes nothing.
    """
    from controllers.corpus import SqliteCorpus

    for path in corpora:
        try:
            SqliteCorpus.open_readonly(path).close()
        except StoreError as error:
            raise UsageError(f"learn_from: {error}; move it away, or name the corpora to learn from") from error


def read_learned(folder: Path) -> Learned | None:
    """What the run noted that it learned from; None where it has not learned yet. Raises StoreError."""
    path = folder / LEARNED
    text = read_whole(path)
    try:
        return None if text is None else Learned.model_validate_json(text)
    except ValueError as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
