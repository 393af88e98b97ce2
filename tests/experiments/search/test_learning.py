"""Learning from everything: what is read, that it is noted, that a resumed run reads the same, that it helps."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import JsonValue

from controllers.corpus import SqliteCorpus
from controllers.corpus.segments import Sizes, seal, segments_of
from experiments.places import claim
from experiments.production.prompts import Prompts, asked_task, prompts_path
from experiments.search.learned import LEARNED, read_learned
from experiments.search.learning import Taught, learn, lens_of
from experiments.wiring import ready, wired
from signatures.errors import StoreError
from tests.worlds.planted import CountingWorker, PlantedBenchmark
from tests.worlds.shipped import AnyMachineWorker
from tests.worlds.small import small
from tests.worlds.taught import OTHER, Play, play

WORLD = PlantedBenchmark()
PRODUCTION = WORLD.tasks("production")
SEARCH = WORLD.tasks("search")


def taught(root: Path, folder: Path | None = None, **changed: JsonValue) -> tuple[Taught, Path]:
    given = ready(small(root, **{"learn_from": "all", **changed}))
    folder = folder or claim(given.config, given.manifest)
    with wired(given, folder) as parts:
        return asyncio.run(learn(given.config, folder, parts)), folder


def test_a_run_that_is_not_told_to_learns_nothing_and_leaves_no_note(tmp_path: Path) -> None:
    play(tmp_path / "corpus-planted.db", PRODUCTION[:2])
    found, folder = taught(tmp_path, learn_from=None)
    assert found == Taught()
    assert not (folder / LEARNED).exists()
    assert not segments_of(tmp_path / "corpus-planted.db").exists()


def test_every_corpus_is_read_and_the_note_says_which_segments(tmp_path: Path) -> None:
    play(tmp_path / "corpus-planted.db", PRODUCTION[:5])
    play(tmp_path / "corpus-machines.db", PRODUCTION[:4], Play(split="search", benchmark=OTHER))
    found, folder = taught(tmp_path)
    note = read_learned(folder)
    assert note is not None and note == found.note
    assert [one.name for one in note.corpora] == ["corpus-machines.db", "corpus-planted.db"]
    assert [dict(one.episodes) for one in note.corpora] == [{"machines search": 4}, {"planted production": 5}]
    for one in note.corpora:
        sealed = segments_of(tmp_path / one.name)
        assert {segment.kind for segment in one.segments} == {"attempts", "episodes"}
        assert all((sealed / segment.file).is_file() and len(segment.sha256) == 64 for segment in one.segments)
        assert max(segment.last_n for segment in one.segments) == one.until
    assert sum(one.moves for one in note.corpora) == len(found.moves)
    assert {move.foreign for move in found.moves} == {True, False}


def test_val_dev_and_holdout_are_withheld_and_train_is_replayed(tmp_path: Path) -> None:
    given = ready(small(tmp_path, learn_from="all"))
    with wired(given, claim(given.config, given.manifest)) as parts:
        lens = lens_of(parts)
    wanted = {task.digest for split in ("dev", "holdout") for task in WORLD.tasks(split)}  # type: ignore[arg-type]
    assert lens.withheld == wanted | {task.digest for task in given.splits.val}
    assert lens.replayed == {task.digest for task in given.splits.train}


def test_what_a_production_run_played_of_the_val_tasks_is_not_learned(tmp_path: Path) -> None:
    given = ready(small(tmp_path))
    play(tmp_path / "corpus-planted.db", (*given.splits.val, PRODUCTION[0]))
    found, _ = taught(tmp_path)
    assert found.note is not None
    (read,) = found.note.corpora
    assert read.left_out == {"of a task that candidates are compared on": len(given.splits.val)}
    assert read.episodes == {"planted production": 1}


@pytest.mark.parametrize("name", ["corpus-a.db", "corpus-z.db"])
def test_a_dev_task_of_one_corpus_teaches_nothing_from_another(name: str, tmp_path: Path) -> None:
    play(tmp_path / name, PRODUCTION[:2], Play(split="dev"))
    play(tmp_path / "corpus-planted.db", PRODUCTION[:3])
    found, _ = taught(tmp_path)
    assert found.note is not None
    read = {one.name: one for one in found.note.corpora}
    assert read[name].left_out == {"of the dev split": 2}
    assert read["corpus-planted.db"].left_out == {"of a task that candidates are compared on": 2}
    assert read["corpus-planted.db"].episodes == {"planted production": 1}


def test_what_production_was_asked_in_the_words_of_a_val_task_is_not_learned(tmp_path: Path) -> None:
    given = ready(small(tmp_path))
    val, train = given.splits.val[0], given.splits.train[0]
    asked = [asked_task("planted", f" {task.prompt.upper()}", "theirs") for task in (val, train)]
    with Prompts(prompts_path(tmp_path, "planted")) as prompts:
        prompts.remember(*asked)
    play(tmp_path / "corpus-planted.db", asked, worker=CountingWorker(AnyMachineWorker()))
    found, _ = taught(tmp_path)
    assert found.note is not None
    (read,) = found.note.corpora
    assert read.left_out == {"of a task that candidates are compared on": 1}
    assert read.episodes == {"planted production": 1}


def test_a_resumed_run_learns_the_same_however_the_corpora_grew_and_were_sealed(tmp_path: Path) -> None:
    path = tmp_path / "corpus-planted.db"
    play(path, PRODUCTION[:4])
    first, folder = taught(tmp_path)
    play(path, PRODUCTION[4:9])
    play(tmp_path / "corpus-machines.db", PRODUCTION[:2], Play(benchmark=OTHER))

    async def sealed_again() -> None:
        with closing(SqliteCorpus.open_readonly(path)) as corpus:
            await seal(corpus, segments_of(path), sizes=Sizes(least_rows=10_000))

    asyncio.run(sealed_again())
    assert first.note is not None
    gone = {one.file for one in first.note.corpora[0].segments}
    assert not any((segments_of(path) / name).exists() for name in gone)
    assert taught(tmp_path, folder)[0] == first
    fresh, _ = taught(tmp_path)
    assert len(fresh.moves) > len(first.moves)


def test_a_corpus_that_shows_other_moves_than_were_noted_stops_the_run(tmp_path: Path) -> None:
    play(tmp_path / "corpus-planted.db", PRODUCTION[:3])
    found, folder = taught(tmp_path)
    assert found.note is not None
    file = folder / LEARNED
    file.write_text(file.read_text().replace(found.note.corpora[0].digest, "0" * 24))
    with pytest.raises(StoreError, match=r"corpus-planted\.db: shows other moves up to row"):
        taught(tmp_path, folder)


def test_a_first_run_has_nothing_to_learn_from_and_goes_on(tmp_path: Path) -> None:
    found, folder = taught(tmp_path)
    assert found.moves == ()
    assert read_learned(folder) == found.note
    assert found.note is not None and found.note.said().startswith("learned from nothing")


def test_a_corpus_elsewhere_is_noted_by_its_whole_path(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "runs", tmp_path / "elsewhere.db"
    play(elsewhere, PRODUCTION[:2])
    found, folder = taught(root, learn_from=str(elsewhere))
    assert found.note is not None and found.note.corpora[0].name == str(elsewhere)
    assert taught(root, folder, learn_from=str(elsewhere))[0] == found
