"""A stream: disjoint slices, lessons from earlier slices only, checkers' values, and the same when it is resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.baselines import seed_candidate
from controllers.executor import AsyncExecutor
from experiments.gate.learned.stream import (
    FINAL,
    FROZEN,
    LEARNED,
    NULL,
    Stream,
    Streamed,
    ends_of,
    graded,
    run_stream,
    slices_of,
)
from experiments.search.stages import evaluator_of
from experiments.wiring import Wired
from optimizers.evaluator import Request
from signatures.errors import StoreError, UsageError
from signatures.records import Attempt, Episode, Task
from tests.worlds.planted import CountingWorker, PlantedWorker
from tests.worlds.streams import opened, small_stream


class StoppedError(BaseException):
    """What no boundary maps: the end of the process, without one."""


def tasks_of(count: int) -> list[Task]:
    return [Task(digest=f"{n:03d}", benchmark="b", prompt="p") for n in range(count)]


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 99), st.randoms())
def test_slices_are_disjoint_and_a_function_of_seed_and_tasks(runs: int, size: int, seed: int, rng: Random) -> None:
    tasks = tasks_of(runs * size + 3)
    slices = slices_of(tasks, runs=runs, size=size, seed=seed)
    digests = [task.digest for one in slices for task in one]
    assert len(set(digests)) == len(digests) == runs * size
    rng.shuffle(tasks)
    assert slices_of(tasks, runs=runs, size=size, seed=seed) == slices


def test_another_seed_is_another_order() -> None:
    assert slices_of(tasks_of(20), runs=2, size=5, seed=0) != slices_of(tasks_of(20), runs=2, size=5, seed=1)


def test_too_few_tasks_and_a_task_twice_are_refused() -> None:
    with pytest.raises(UsageError, match="3 runs of 4 tasks need 12, the search split has 11"):
        slices_of(tasks_of(11), runs=3, size=4, seed=0)
    with pytest.raises(UsageError, match="comes twice"):
        slices_of([*tasks_of(3), *tasks_of(1)], runs=1, size=2, seed=0)


def counted(stream: Stream) -> CountingWorker:
    return CountingWorker(stream.wired.setup.worker)


async def whole(root: Path, worker: CountingWorker | None = None) -> tuple[Stream, Streamed]:
    with opened(small_stream(root), root / "stream", worker) as (stream, _):
        return stream, await run_stream(stream)


async def test_a_lesson_knows_no_task_of_its_run_or_of_a_later_one(tmp_path: Path) -> None:
    with opened(small_stream(tmp_path), tmp_path / "stream") as (stream, _):
        streamed = await run_stream(stream)
        episodes = [one async for one in stream.wired.setup.corpus.scan(Episode)]
    slices = [{task.digest for task in one} for one in stream.slices]
    assert [lesson.name for lesson in streamed.lessons] == ["learn-02", "learn-03"]
    for number, lesson in enumerate(streamed.lessons, 2):
        assert set(lesson.tasks) <= set().union(*slices[: number - 1])
        assert len(lesson.tasks) == 2 * (number - 1)
        assert streamed.runs[number - 1].candidates[LEARNED] == lesson.candidate
    recorded = {one.task_digest for one in episodes if one.condition.startswith("collect")}
    assert recorded.isdisjoint(slices[-1])
    assert streamed.recorded > 0


async def test_every_arm_plays_every_slice_at_one_grant_and_only_the_controller_differs(tmp_path: Path) -> None:
    stream, streamed = await whole(tmp_path)
    assert [set(run.scores) for run in streamed.runs] == [{LEARNED, FROZEN, NULL}] * 3
    assert [set(run.scores) for run in streamed.back] == [{FINAL}]
    assert streamed.back[0].candidates[FINAL] == streamed.runs[-1].candidates[LEARNED]
    for run, tasks in zip(streamed.runs, stream.slices, strict=True):
        assert run.candidates[FROZEN] == run.candidates[NULL] == seed_candidate()
        for arm, repeats in run.scores.items():
            assert [one.task_digest for one in repeats[0]] == [task.digest for task in tasks]
            assert {one.source for one in repeats[0]} == {"live"}
            assert {one.condition for one in repeats[0]} == {arm}
        seeds = {arm: repeats[0][0].seed for arm, repeats in run.scores.items()}
        assert seeds[LEARNED] == seeds[FROZEN] != seeds[NULL]


async def test_before_anything_was_learned_learner_and_frozen_are_the_same(tmp_path: Path) -> None:
    _, streamed = await whole(tmp_path)
    first = streamed.runs[0].scores
    assert [one.values for one in first[LEARNED][0]] == [one.values for one in first[FROZEN][0]]


async def test_a_stream_again_is_the_same_and_makes_no_attempt(tmp_path: Path) -> None:
    worker = CountingWorker(PlantedWorker({}))
    with opened(small_stream(tmp_path), tmp_path / "stream") as (stream, _):
        worker.inner = stream.wired.setup.worker
        first = await run_stream(stream)
    with opened(small_stream(tmp_path), tmp_path / "stream", worker) as (stream, _):
        again = await run_stream(stream)
    assert worker.calls == []
    assert again.runs == first.runs
    assert again.lessons == first.lessons


async def test_one_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """Stopped by a worker that breaks down for good in the second run; then it goes on with a sound one."""
    stream, straight = await whole(tmp_path)
    later = {task.digest for task in stream.slices[1]}
    other = tmp_path / "other"
    other.mkdir()
    worker = counted(stream)
    broken = [True]

    def fails(task: Task, call: int) -> Exception | None:
        if broken[0] and task.digest in later:
            raise StoppedError
        return None

    worker.fails = fails
    with opened(small_stream(tmp_path), other, worker) as (stopped, _), pytest.raises(StoppedError):
        await run_stream(replace(stopped, wired=alone(stopped)))
    broken[0] = False
    before = len(worker.calls)
    with opened(small_stream(tmp_path), other, worker) as (resumed, _):
        ended = await run_stream(resumed)
    again = [call for call in set(worker.calls) if worker.calls.count(call) > 1]
    assert {task for task, _ in again} <= later  # what never ended; nothing else ran twice
    assert before < len(worker.calls)
    assert ended.runs == straight.runs
    assert ended.lessons == straight.lessons


def alone(stream: Stream) -> Wired:
    """One episode at a time: the one that is interrupted is the only one under way."""
    return replace(stream.wired, setup=replace(stream.wired.setup, executor=AsyncExecutor(1)))


async def test_what_infrastructure_ends_is_run_again_and_else_left_out(tmp_path: Path) -> None:
    with opened(small_stream(tmp_path), tmp_path / "plain") as (plain, _):
        lost, hiccup = plain.slices[0][2].digest, plain.slices[0][3].digest
        worker = counted(plain)
    once: set[str] = set()

    def fails(task: Task, call: int) -> Exception | None:
        if task.digest == lost:
            return OSError("no machine")
        if task.digest == hiccup and len(once) < 4:
            once.add(str(call))
            return OSError("a hiccup")
        return None

    worker.fails = fails
    with opened(small_stream(tmp_path), tmp_path / "stream", worker) as (stream, _):
        streamed = await run_stream(stream)
        ended = [a async for a in stream.wired.setup.corpus.scan(Attempt) if a.outcome == "infra_error"]
    by_task = {one.task_digest: one for one in streamed.runs[0].scores[FROZEN][0]}
    assert by_task[lost].failure is not None
    assert set(by_task[lost].values.values()) == {None}
    assert by_task[hiccup].failure is None
    assert by_task[hiccup].values["correct"] is not None
    assert ended


async def test_values_are_the_checkers_and_not_the_judges(tmp_path: Path) -> None:
    """The judge sees a hidden part that no checker sees; the checker gives shares, the judge 0 or 1."""
    with opened(small_stream(tmp_path, slice=12), tmp_path / "stream") as (stream, _):
        setup = stream.wired.setup
        evaluator = evaluator_of(stream.wired, split="search", namespace="x")
        request = Request(seed_candidate(), stream.slices[0], 5, "x", keep_rollouts=True)
        scored = await evaluator.evaluate(request)
        ours = [graded(one, setup.objectives) for one in scored]
    for one, score in zip(scored, ours, strict=True):
        assert one.rollout is not None
        selected = next(s.attempt for s in one.rollout.history if s.attempt.id == one.rollout.episode.selected_id)
        check = selected.check("correct")
        assert check is not None
        assert score.values["correct"] == check.value
        assert {k: v for k, v in score.values.items() if k != "correct"} == {
            k: v for k, v in one.score.values.items() if k != "correct"
        }
    assert [score.values["correct"] for score in ours] != [one.score.values["correct"] for one in scored]


async def test_a_slice_played_by_another_controller_is_refused(tmp_path: Path) -> None:
    await whole(tmp_path)
    lesson = tmp_path / "stream" / "learned-02.json"
    lesson.write_text(lesson.read_text().replace("refine_last", "fanout_1"))
    with pytest.raises(StoreError, match="was played by other controllers"):
        await whole(tmp_path)
    lesson.write_text("{")
    with pytest.raises(StoreError, match=r"learned-02\.json: cannot be read"):
        await whole(tmp_path)


@pytest.mark.parametrize(("runs", "ends"), [(2, 1), (5, 1), (6, 2), (16, 5)])
def test_an_end_is_a_third(runs: int, ends: int) -> None:
    assert ends_of(runs) == ends
