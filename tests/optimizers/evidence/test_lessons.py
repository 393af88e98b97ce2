"""Lessons: the moves that others made, in this benchmark's words; dev and holdout are never opened."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from controllers.corpus import SqliteCorpus
from controllers.corpus.segments import Segments, seal, segments_of
from controllers.observe import NoObserver, observe
from optimizers.evidence.lessons import SHARED, Lens, Lessons, lessons_of
from optimizers.evidence.reflection import reflections
from optimizers.setup import Grant
from signatures.errors import StoreError
from signatures.records import Amounts, Task
from tests.worlds.lab import GRANT
from tests.worlds.planted import CountingWorker, PlantedBenchmark
from tests.worlds.taught import OTHER, Play, play

WORLD = PlantedBenchmark()
PRODUCTION = WORLD.tasks("production")
FOREIGN = Play(split="search", benchmark=OTHER, actions=("none", "fan", "belt"))


def lens(*, withheld: Iterable[Task] = (), replayed: Iterable[Task] = ()) -> Lens:
    return Lens(
        benchmark="planted",
        observer=WORLD,
        grant=GRANT,
        withheld=frozenset(task.digest for task in withheld),
        replayed=frozenset(task.digest for task in replayed),
    )


def read(path: Path, given: Lens | None = None, *, known: set[str] | None = None, until: int | None = None) -> Lessons:
    async def go() -> Lessons:
        with closing(SqliteCorpus.open_readonly(path)) as corpus:
            await seal(corpus, segments_of(path))
            segments = Segments(segments_of(path), until=until)
            return await lessons_of(corpus, segments, given or lens(), set() if known is None else known)

    return asyncio.run(go())


def test_the_moves_of_production_are_those_that_its_attempts_show(tmp_path: Path) -> None:
    path = tmp_path / "corpus.db"
    played = play(path, PRODUCTION[:12])
    lessons = read(path)
    shown = [move for one in played for move in reflections(one.history, WORLD, GRANT)]
    assert [(m.policy, m.action, m.features, m.gain, m.turns) for m in lessons.moves] == [
        (m.policy, m.action, m.features, m.gain, m.turns) for m in shown
    ]
    assert {move.origin for move in lessons.moves} == {"planted production"}
    assert not any(move.foreign for move in lessons.moves)
    assert (lessons.episodes, lessons.left_out) == ({"planted production": 12}, {})


@pytest.mark.parametrize("split", ["dev", "holdout"])
def test_episodes_of_dev_and_holdout_are_never_opened(tmp_path: Path, split: str) -> None:
    """Their traces are gone from the file: opening one would be noticed."""
    path = tmp_path / "corpus.db"
    play(path, PRODUCTION[:3])
    before = read(path).moves
    hidden = play(path, WORLD.tasks("dev")[:4], Play(split=split))  # type: ignore[arg-type]
    with closing(sqlite3.connect(path)) as db, db:
        for seen in (seen for one in hidden for seen in one.history):
            db.execute("DELETE FROM blobs WHERE digest = ?", (seen.attempt.trace_digest,))
            db.execute("DELETE FROM attempts WHERE id = ?", (seen.attempt.id,))
    lessons = read(path)
    assert lessons.moves == before
    assert lessons.left_out == {f"of the {split} split": 4}


def test_a_task_that_candidates_are_compared_on_is_withheld_whatever_split_it_was_played_in(tmp_path: Path) -> None:
    path = tmp_path / "corpus.db"
    play(path, PRODUCTION[:4])
    lessons = read(path, lens(withheld=PRODUCTION[:3]))
    assert lessons.left_out == {"of a task that candidates are compared on": 3}
    assert lessons.episodes == {"planted production": 1}


def test_a_task_that_was_ever_in_dev_teaches_nothing_in_production_either(tmp_path: Path) -> None:
    path = tmp_path / "corpus.db"
    play(path, PRODUCTION[:2])
    play(path, PRODUCTION[:1], Play(split="dev"))
    assert read(path).left_out == {"of the dev split": 1, "of a task that candidates are compared on": 1}


def test_trees_that_the_run_replays_by_itself_are_not_counted_twice(tmp_path: Path) -> None:
    path, search = tmp_path / "corpus.db", WORLD.tasks("search")
    play(path, search[:3], Play(split="search", condition="collect 2x3"))
    lessons = read(path, lens(replayed=search[:2]))
    assert (lessons.episodes, lessons.left_out) == ({"planted search": 1}, {"replayed by the run itself": 2})


def test_of_another_benchmark_only_what_exists_here_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "corpus.db"
    play(path, PRODUCTION[:20], FOREIGN)
    moves = read(path).moves
    assert {move.origin for move in moves} == {"machines search"}
    assert all(move.foreign for move in moves)
    assert {move.action for move in moves if move.policy == "steer"} == {"none", "fan"}
    assert {move.policy for move in moves} == {"stop", "topology", "steer"}
    named = {name for move in moves for name in move.features}
    assert named <= SHARED | {f"last.{action}" for action in GRANT.steer_legal}
    assert {"correct", "errors", "last.fan"} <= named
    assert "last.belt" not in named


def test_the_shared_features_are_those_that_need_no_benchmark(tmp_path: Path) -> None:
    played = play(tmp_path / "corpus.db", PRODUCTION[:1])[0].history
    money = Amounts(attempts=3, turns=9, usd=1.0)
    observed = observe(played, NoObserver(), granted=money, left=money)
    assert {name for name in observed if not name.startswith("last.")} - {"untried"} == SHARED


def test_a_mark_ends_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "corpus.db"
    play(path, PRODUCTION[:5])
    first = read(path)

    async def high() -> int:
        with closing(SqliteCorpus.open_readonly(path)) as corpus:
            return await corpus.high_water()

    mark = asyncio.run(high())
    play(path, PRODUCTION[5:9])
    assert read(path, until=mark) == first
    assert len(read(path).moves) > len(first.moves)


def test_an_episode_is_read_once_in_however_many_files_it_is(tmp_path: Path) -> None:
    paths = (tmp_path / "a.db", tmp_path / "b.db")
    for path in paths:
        play(path, PRODUCTION[:3])
    known: set[str] = set()
    first, second = (read(path, known=known) for path in paths)
    assert first.episodes == {"planted production": 3}
    assert (second.moves, second.left_out) == ((), {"read before": 3})


def test_a_damaged_episode_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "corpus.db"
    played = play(path, PRODUCTION[:4])
    lost = next(seen.attempt.trace_digest for seen in played[1].history)
    others = {seen.attempt.trace_digest for one in (played[0], *played[2:]) for seen in one.history}
    assert lost not in others
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM blobs WHERE digest = ?", (lost,))
    lessons = read(path)
    assert (lessons.episodes, lessons.left_out) == ({"planted production": 3}, {"damaged": 1})


def test_what_infrastructure_ended_is_left_out(tmp_path: Path) -> None:
    def fails(task: Task, call: int) -> Exception | None:
        return ConnectionError("down") if task == PRODUCTION[0] else None

    path = tmp_path / "corpus.db"
    play(path, PRODUCTION[:2], worker=CountingWorker(WORLD.worker(None, None), fails))
    lessons = read(path)
    assert (lessons.episodes, lessons.left_out) == ({"planted production": 1}, {"ended by infrastructure": 1})


def test_the_grant_of_a_lesson_is_its_episodes_own(tmp_path: Path) -> None:
    path = tmp_path / "corpus.db"
    play(path, PRODUCTION[:6])
    wide = Lens(benchmark="planted", observer=WORLD, grant=Grant(8, 3, GRANT.steer_legal))
    assert max(move.features["attempts_left"] for move in read(path, wide).moves) == 2.0


def test_nothing_sealed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nothing is sealed"):
        Segments(tmp_path / "none")
