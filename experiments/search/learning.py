"""Learning from everything: corpora are sealed, read up to a mark, and noted before anything is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from controllers.corpus import SqliteCorpus
from controllers.corpus.manifest import Manifest, read_manifest
from controllers.corpus.segments import Segments, seal, segments_of
from experiments.harvest.tasks import content_key
from experiments.production.prompts import Prompts, prompts_path
from experiments.search.learned import LEARNED, CorpusRead, Learned, corpora_named, read_learned, segments_read
from experiments.search_config import SearchConfig
from experiments.whole_file import write_whole
from experiments.wiring import Wired
from optimizers.evidence.lessons import Lens, closed_in, lessons_of
from optimizers.evidence.reflection import Reflection
from signatures.digest import digest_of
from signatures.errors import StoreError
from signatures.records import Task


class Taught(NamedTuple):
    """The moves that a run learned, and where it learned them; the note is None for a run that learns nothing."""

    moves: tuple[Reflection, ...] = ()
    note: Learned | None = None


async def learn(config: SearchConfig, folder: Path, parts: Wired) -> Taught:
    """What the corpora that the config names show, as they are now; of a resumed run, as they were when it began.

    Raises StoreError where a corpus cannot be read, or does not show what the run noted.
    """
    if config.learn_from is None:
        return Taught()
    root, noted = folder.parent, read_learned(folder)
    marks: Mapping[Path, int | None] = (
        dict.fromkeys(corpora_named(config, root, parts.benchmark.id))
        if noted is None
        else {root / one.name: one.until for one in noted.corpora}
    )
    sealed = [await _sealed(path, mark) for path, mark in marks.items()]
    lens = lens_of(parts, [task for folder in {path.parent for path in marks} for task in _asked(folder, parts)])
    # Of all corpora, before one is read: what one played in production may be another's dev task.
    closed = lens.withheld.union(*(closed_in(one.segments) for one in sealed))
    lens = replace(lens, withheld=closed)
    known: set[str] = set()
    moves: list[Reflection] = []
    read: list[CorpusRead] = []
    for corpus in sealed:
        one, shown = await _read(corpus, _name(corpus.path, root), lens, known)
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


def lens_of(parts: Wired, asked: Iterable[Task] = ()) -> Lens:
    """What the run may look at: no task that its candidates are compared on, now or at a gate.

    Nor what production was `asked` in the words of such a task alone, under another id.
    """
    splits, benchmark = parts.splits, parts.benchmark
    decided_on = (*splits.val, *benchmark.tasks("dev"), *benchmark.tasks("holdout"))
    compared = {task.digest for task in splits.val}
    others = (task for task in benchmark.tasks("search") if task.digest not in compared)
    theirs = {content_key(task.prompt) for task in decided_on} - {content_key(task.prompt) for task in others}
    same = {task.digest for task in asked if content_key(task.prompt) in theirs}
    return Lens(
        benchmark=benchmark.id,
        observer=benchmark,
        grant=parts.setup.grant,
        withheld=frozenset({task.digest for task in decided_on} | same),
        replayed=frozenset(task.digest for task in splits.train),
    )


class _Sealed(NamedTuple):
    """A corpus, and the prefix of it that is learned from."""

    path: Path
    manifest: Manifest
    segments: Segments


async def _sealed(path: Path, mark: int | None) -> _Sealed:
    """Seal a corpus; its rows up to `mark`, or all that are sealed now."""
    folder = segments_of(path)
    with closing(SqliteCorpus.open_readonly(path)) as corpus:
        await seal(corpus, folder)
    manifest = read_manifest(folder)
    return _Sealed(path, manifest, Segments(folder, until=manifest.sealed_n if mark is None else mark))


async def _read(sealed: _Sealed, name: str, lens: Lens, known: set[str]) -> tuple[CorpusRead, tuple[Reflection, ...]]:
    segments = sealed.segments
    with closing(SqliteCorpus.open_readonly(sealed.path)) as corpus:
        lessons = await lessons_of(corpus, segments, lens, known)
    read = CorpusRead(
        name=name,
        until=segments.sealed_n,
        segments=segments_read(sealed.manifest, segments.sealed_n),
        episodes=lessons.episodes,
        left_out=lessons.left_out,
        moves=len(lessons.moves),
        digest=digest_of([move.content() for move in lessons.moves]),
    )
    return read, lessons.moves


def _asked(folder: Path, parts: Wired) -> tuple[Task, ...]:
    """What production was asked, as far as prompts are kept beside a corpus. Raises StoreError."""
    path = prompts_path(folder, parts.benchmark.id)
    if not path.is_file():
        return ()
    with Prompts(path) as prompts:
        return prompts.all()


def _name(path: Path, root: Path) -> str:
    absolute, home = path.resolve(), root.resolve()
    return str(absolute.relative_to(home) if absolute.is_relative_to(home) else absolute)
