"""A harvest on episodes that were really played: what it finds, that it goes on where it stopped, what it survives."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import JsonValue

from controllers.spec import Rollout
from experiments.harvest.config import HarvestConfig
from experiments.harvest.harvesting import Harvested, harvest
from experiments.harvest.harvests import read_harvest
from experiments.harvest.tasks import FILE, read_tasks
from experiments.production.prompts import Prompts, prompts_path
from signatures.errors import UsageError
from signatures.records import Task
from tests.worlds.planted import CountingWorker, PlantedBenchmark
from tests.worlds.taught import OTHER, Play, play

WORLD = PlantedBenchmark()
PRODUCTION = WORLD.tasks("production")


def served(root: Path, tasks: Sequence[Task], plan: Play | None = None) -> list[Rollout]:
    """Production, with its prompts kept."""
    with Prompts(prompts_path(root, "planted")) as prompts:
        prompts.remember(*tasks)
    return play(root / "corpus-planted.db", tasks, plan)


def harvested(root: Path, **changed: JsonValue) -> Harvested:
    given = {"benchmark": "tests.worlds.planted:PlantedBenchmark", "root": str(root), **changed}
    return asyncio.run(harvest(HarvestConfig.model_validate(given)))


def lose_a_trace(root: Path, played: Rollout) -> None:
    """Delete the trace of an attempt, as a damaged disk would."""
    digest = played.history[0].attempt.trace_digest
    with closing(sqlite3.connect(root / "corpus-planted.db")) as db, db:
        db.execute("DELETE FROM blobs WHERE digest = ?", (digest,))


def test_it_finds_what_did_not_pass_and_brings_the_tasks(tmp_path: Path) -> None:
    played = served(tmp_path, PRODUCTION[:10])
    done = harvested(tmp_path)
    assert done.folder == tmp_path / "planted-harvest-1"
    assert read_harvest(done.folder) == done.harvest
    assert set(done.harvest.analysed) == {one.episode.id for one in played}
    failed = {
        one.episode.id
        for one in played
        for seen in one.history
        if seen.attempt.id == one.episode.selected_id
        and (check := seen.attempt.check("correct")) is not None
        and check.passed is False
    }
    assert 0 < len(failed) < 10
    (finding,) = [one for one in done.harvest.findings if (one.kind, one.subject) == ("not passed", "correct")]
    assert {one.episode for one in finding.evidence} == failed
    assert read_tasks(done.folder / FILE, "planted") == tuple(PRODUCTION[:10])
    assert done.harvest.tasks == 10


def test_what_was_harvested_is_not_analysed_again(tmp_path: Path) -> None:
    served(tmp_path, PRODUCTION[:4])
    first = harvested(tmp_path)
    nothing = harvested(tmp_path)
    assert (nothing.folder, nothing.harvest.analysed, nothing.harvest.tasks) == (None, (), 0)
    later = served(tmp_path, PRODUCTION[2:6], Play(floor=0.1))
    second = harvested(tmp_path)
    assert second.folder == tmp_path / "planted-harvest-2"
    assert set(second.harvest.analysed) == {one.episode.id for one in later}
    assert not set(second.harvest.analysed) & set(first.harvest.analysed)
    assert second.harvest.left_out == {"in an earlier harvest": 2}
    again = {one.id for one in first.harvest.findings} & {one.id for one in second.harvest.findings}
    assert again
    assert all(one.first_seen == "planted-harvest-1" for one in second.harvest.findings if one.id in again)


def test_tasks_of_the_splits_are_never_harvested(tmp_path: Path) -> None:
    known = [WORLD.tasks(split)[0] for split in ("search", "dev", "holdout")]  # type: ignore[arg-type]
    served(tmp_path, [*known, PRODUCTION[0]])
    done = harvested(tmp_path)
    assert done.harvest.left_out == {f"in the {split} split": 1 for split in ("search", "dev", "holdout")}
    assert done.folder is not None
    assert read_tasks(done.folder / FILE, "planted") == (PRODUCTION[0],)


def test_a_damaged_trace_fails_its_own_episode_alone_and_is_tried_again(tmp_path: Path) -> None:
    played = served(tmp_path, PRODUCTION[:5])
    lose_a_trace(tmp_path, played[2])
    done = harvested(tmp_path)
    (failure,) = done.harvest.failures
    assert failure.episode == played[2].episode.id
    assert "no blob" in failure.error
    assert set(done.harvest.analysed) == {one.episode.id for one in played} - {failure.episode}
    assert done.folder is not None
    assert failure.episode[:12] in (done.folder / "report.md").read_text()
    again = harvested(tmp_path)
    assert (again.folder, again.harvest.failures) == (None, done.harvest.failures)
    served(tmp_path, PRODUCTION[5:6])
    third = harvested(tmp_path)
    assert (third.folder, len(third.harvest.analysed)) == (tmp_path / "planted-harvest-2", 1)


@pytest.mark.parametrize("table", ["episodes", "attempts", "decisions"])
def test_a_damaged_record_of_an_episode_fails_that_episode_alone(table: str, tmp_path: Path) -> None:
    played = served(tmp_path, PRODUCTION[:5])
    play(tmp_path / "corpus-planted.db", WORLD.tasks("search")[:1], Play(split="search"))
    of_it = "id" if table == "episodes" else "episode_id"
    with closing(sqlite3.connect(tmp_path / "corpus-planted.db")) as db, db:
        for one in played[1:3]:
            db.execute(f"UPDATE {table} SET body = x'ff00' WHERE {of_it} = ?", (one.episode.id,))
    done = harvested(tmp_path)
    assert set(done.harvest.analysed) == {played[n].episode.id for n in (0, 3, 4)}
    assert ["is damaged" in one.error for one in done.harvest.failures] == [True, True]
    if table != "episodes":  # a damaged episode has no id that could be read
        assert [one.episode for one in done.harvest.failures] == [one.episode.id for one in played[1:3]]
    assert (harvested(tmp_path).folder, len(done.harvest.failures)) == (None, 2)


def test_episodes_of_other_splits_and_benchmarks_are_not_harvested(tmp_path: Path) -> None:
    path = tmp_path / "corpus-planted.db"
    play(path, PRODUCTION[:2], Play(split="search"))
    play(path, PRODUCTION[:2], Play(split="dev"))
    play(path, PRODUCTION[:2], Play(benchmark=OTHER))
    done = harvested(tmp_path)
    assert (done.folder, done.harvest.analysed) == (None, ())


def test_tasks_whose_prompt_nobody_kept_are_counted(tmp_path: Path) -> None:
    play(tmp_path / "corpus-planted.db", PRODUCTION[:3])
    done = harvested(tmp_path)
    assert (done.harvest.tasks, done.harvest.left_out) == (0, {"no prompt was kept": 3})


def test_what_infrastructure_ended_is_a_finding(tmp_path: Path) -> None:
    def fails(task: Task, call: int) -> Exception | None:
        return ConnectionError("down") if task == PRODUCTION[0] else None

    worker = CountingWorker(WORLD.worker(None, None), fails)
    play(tmp_path / "corpus-planted.db", PRODUCTION[:2], worker=worker)
    kinds = {(one.kind, one.subject) for one in harvested(tmp_path).harvest.findings}
    assert ("infrastructure", "WorkerError") in kinds


def test_without_a_corpus_there_is_nothing_to_harvest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"corpus-planted\.db: no such corpus; production_run"):
        harvested(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_no_verdict_is_read(tmp_path: Path) -> None:
    """A ledger that no reader could open lies beside the corpus."""
    served(tmp_path, PRODUCTION[:2])
    (tmp_path / "corpus-planted.verdicts.db").write_bytes(b"no database")
    assert len(harvested(tmp_path).harvest.analysed) == 2
