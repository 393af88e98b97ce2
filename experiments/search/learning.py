"""Learning from everything: corpora are sealed, read up to a mark, and noted before anything is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from controllers.corpus import SqliteCorpus
from controllers.corpus.manifest import read_manifest
from controllers.corpus.segments import Segments, seal, segments_of
from experiments.gepa_config import GepaConfig
from experiments.search.learned import LEARNED, CorpusRead, Learned, corpora_named, read_learned, segments_read
from experiments.whole_file import write_whole
from experiments.wiring import Wired
from optimizers.lessons import Lens, lessons_of
from optimizers.reflection import Reflection
from signatures.digest import digest_of
from signatures.errors import StoreError


class Taught(NamedTuple):
    """The moves that a run learned, and where it learned them; the note is None for a run that learns nothing."""

    moves: tuple[Reflection, ...] = ()
    note: Learned | None = None


async def learn(config: GepaConfig, folder: Path, parts: Wired) -> Taught:
    """What the corpora that the config names show, as they are now; of a resumed run, as they were when it began.

    Raises StoreError where a corpus cannot be read, or does not show what the run noted.
    """
    if config.learn_from is None:
        return Taught()
    root, lens, noted = folder.parent, lens_of(parts), read_learned(folder)
    marks: Mapping[Path, int | None] = (
        dict.fromkeys(corpora_named(config, root, parts.benchmark.id))
        if noted is None
        else {root / one.name: one.until for one in noted.corpora}
    )
    known: set[str] = set()
    moves: list[Reflection] = []
    read: list[CorpusRead] = []
    for path, mark in marks.items():
        one, shown = await _read(path, _name(path, root), mark, lens, known)
        moves += shown
        read.append(one)
    note = Learned(corpora=tuple(read))
    if noted is None:
        write_whole(folder / LEARNED, note.model_dump_json(indent=1) + "\n")
        return Taught(tuple(moves), note)
    for before, now in zip(noted.corpora, note.corpora, strict=True):
        if before.digest != now.digest:
            raise StoreError(
                f"{root / now.name}: shows other moves up to row {now.until} than this run learned from it"
            )
    return Taught(tuple(moves), noted)


def lens_of(parts: Wired) -> Lens:
    """What the run may look at: no task that its candidates are compared on, now or at a gate."""
    splits, benchmark = parts.splits, parts.benchmark
    decided_on = (*splits.val, *benchmark.tasks("dev"), *benchmark.tasks("holdout"))
    return Lens(
        benchmark=benchmark.id,
        observer=benchmark,
        grant=parts.setup.grant,
        withheld=frozenset(task.digest for task in decided_on),
        replayed=frozenset(task.digest for task in splits.train),
    )


async def _read(
    path: Path, name: str, mark: int | None, lens: Lens, known: set[str]
) -> tuple[CorpusRead, tuple[Reflection, ...]]:
    """Seal a corpus and read it, up to `mark` or to all that is sealed now."""
    sealed = segments_of(path)
    with closing(SqliteCorpus.open_readonly(path)) as corpus:
        await seal(corpus, sealed)
        manifest = read_manifest(sealed)
        segments = Segments(sealed, until=manifest.sealed_n if mark is None else mark)
        lessons = await lessons_of(corpus, segments, lens, known)
    read = CorpusRead(
        name=name,
        until=segments.sealed_n,
        segments=segments_read(manifest, segments.sealed_n),
        episodes=lessons.episodes,
        left_out=lessons.left_out,
        moves=len(lessons.moves),
        digest=digest_of([move.content() for move in lessons.moves]),
    )
    return read, lessons.moves


def _name(path: Path, root: Path) -> str:
    absolute, home = path.resolve(), root.resolve()
    return str(absolute.relative_to(home) if absolute.is_relative_to(home) else absolute)
