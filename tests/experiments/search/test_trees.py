"""The trees of a run: recorded once, whole, with what was bought for them, and the same when it is resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import JsonValue

from experiments.places import claim
from experiments.search.projecting import cost_of
from experiments.search.stages import plan_of
from experiments.search.trees import TREES, Note, read_note, record_trees
from experiments.search_config import SearchConfig
from experiments.whole_file import write_whole
from experiments.wiring import Ready, Wired, ready, wired
from signatures.errors import StoreError, WorkerError
from signatures.records import Attempt
from tests.worlds.planted import CountingWorker
from tests.worlds.small import small


@contextmanager
def opened(
    root: Path, worker: CountingWorker | None = None, **changed: JsonValue
) -> Iterator[tuple[SearchConfig, Wired]]:
    given: Ready = ready(small(root, **changed))
    if worker is not None:
        given = replace(given, worker=worker)
    with wired(given, claim(given.config, given.manifest)) as parts:
        yield given.config, parts


def counted(root: Path) -> CountingWorker:
    return CountingWorker(ready(small(root)).worker)


def nothing() -> None:
    """No progress bar."""


async def test_recording_stays_within_its_projection_and_happens_once(tmp_path: Path) -> None:
    worker = counted(tmp_path)
    steps: list[None] = []
    with opened(tmp_path, worker) as (config, parts):
        replay, outputs, _ = await record_trees(config, parts, lambda: steps.append(None))
        first = len(worker.calls)
        assert 0 < first <= cost_of(config, parts.actions, 5).record
        assert len(set(worker.calls)) == first
        await record_trees(config, parts, nothing)
        assert len(worker.calls) == first
    recorded = {task.digest for task in (*parts.splits.train, *parts.splits.val[:2])}
    assert set(replay.trees) == recorded == {task.digest for task, _ in outputs}
    assert len(steps) == len(recorded)


async def test_another_run_with_another_seed_reuses_the_trees(tmp_path: Path) -> None:
    worker = counted(tmp_path)
    with opened(tmp_path, worker) as (config, parts):
        await record_trees(config, parts, nothing)
    first = len(worker.calls)
    with opened(tmp_path, worker, seed=7) as (config, parts):
        await record_trees(config, parts, nothing)
    assert len(worker.calls) == first


async def test_trees_of_one_size_and_another_shape_do_not_meet(tmp_path: Path) -> None:
    # 12 roots, or 2 roots with 5 children each: 12 attempts a task either way.
    with opened(tmp_path, attempts=1, roots=12) as (config, parts):
        assert plan_of(config, parts.actions).most_attempts == 12
        await record_trees(config, parts, nothing)
    with opened(tmp_path, attempts=2, roots=2) as (config, parts):
        assert plan_of(config, parts.actions).most_attempts == 12
        await record_trees(config, parts, nothing)


async def test_a_worker_that_never_works_is_an_infrastructure_failure_and_no_score(tmp_path: Path) -> None:
    worker = CountingWorker(ready(small(tmp_path)).worker, fails=lambda task, call: OSError("no machine"))
    with opened(tmp_path, worker, train=1, minibatch=1, recorded_val=1) as (config, parts):
        with pytest.raises(WorkerError, match=r"no attempt could be recorded; .*no machine"):
            await record_trees(config, parts, nothing)
        assert [a.outcome async for a in parts.setup.corpus.scan(Attempt)] == ["infra_error"] * 4


async def test_a_spoilt_tree_is_grown_again_by_the_next_run_and_kept_by_a_resumed_one(tmp_path: Path) -> None:
    worker = counted(tmp_path)
    worker.fails = lambda task, call: OSError("no machine") if call == 1 else None
    given = replace(ready(small(tmp_path)), worker=worker)
    folder = claim(given.config, given.manifest)
    grown: list[list[str]] = []
    for _ in range(2):
        with wired(given, folder) as parts:
            replay = (await record_trees(given.config, parts, nothing)).replay
            grown.append([seen.attempt.id for tree in replay.trees.values() for seen in tree.history])
    assert grown[0] == grown[1]
    assert set(repeats(folder).values()) == {0}
    calls = len(worker.calls)
    other = claim(given.config, given.manifest)
    with wired(given, other) as parts:
        replay = (await record_trees(given.config, parts, nothing)).replay
    assert len(worker.calls) > calls
    assert sorted(repeats(other).values()) == [0, 0, 0, 0, 0, 1]
    outcomes = {seen.attempt.outcome for tree in replay.trees.values() for seen in tree.history}
    assert outcomes == {"ok"}


def repeats(folder: Path) -> Mapping[str, int]:
    note = read_note(folder / TREES)
    assert note is not None
    return note.repeats


async def test_what_recording_took_is_told_the_same_when_the_run_is_resumed(tmp_path: Path) -> None:
    """New is what the corpus did not hold when the run began, however often it was stopped."""
    worker = counted(tmp_path)
    given = replace(ready(small(tmp_path)), worker=worker)
    folder, told = claim(given.config, given.manifest), []
    for _ in range(2):
        with wired(given, folder) as parts:
            told.append((await record_trees(given.config, parts, nothing)).recording)
    assert told[0] == told[1] == (len(worker.calls), 0)
    wider = replace(ready(small(tmp_path, recorded_val=4)), worker=worker)
    with wired(wider, claim(wider.config, wider.manifest)) as parts:
        more = (await record_trees(wider.config, parts, nothing)).recording
    assert more == (len(worker.calls) - told[0].new, told[0].new) and more.new > 0


def test_a_damaged_note_of_trees_is_not_taken_for_none(tmp_path: Path) -> None:
    assert read_note(tmp_path / TREES) is None
    write_whole(tmp_path / TREES, '{"since":3,"repeats":{"a":1}}')
    assert read_note(tmp_path / TREES) == Note(since=3, repeats={"a": 1})
    for damaged in ("{", '{"a":1}'):
        (tmp_path / TREES).write_text(damaged)
        with pytest.raises(StoreError, match="cannot be read"):
            read_note(tmp_path / TREES)
