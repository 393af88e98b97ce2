"""A lesson: trees grow together, a search on them finds what is planted, and it attempts hardly anything live."""

from __future__ import annotations

from pathlib import Path

from controllers.baselines import seed_candidate
from experiments.gate.learned.learning import Lesson, Trees, learn, recorded
from experiments.gate.learned.stream import Stream
from experiments.search.stages import evaluator_of, space_from
from optimizers.evaluator import Request
from signatures.records import Candidate, Task
from tests.worlds.streams import opened, small_stream


async def grown(stream: Stream, name: str, run: int) -> Trees:
    return await recorded(stream.learner, stream.wired, stream.folder / name, stream.slices[run])


def lesson_of(stream: Stream, trees: Trees) -> Lesson:
    space = space_from(trees.replay, trees.tasks, stream.wired.actions, stream.learner.attempts)
    return Lesson(stream.learner, trees, seed_candidate(), space, "lesson")


async def test_trees_of_two_slices_are_one_replay(tmp_path: Path) -> None:
    with opened(small_stream(tmp_path), tmp_path / "s") as (stream, _):
        first, second = await grown(stream, "a", 0), await grown(stream, "b", 1)
        both = first.plus(second, stream.wired)
    assert both.tasks == (*stream.slices[0], *stream.slices[1])
    assert set(both.replay.trees) == {task.digest for task in both.tasks}
    assert both.attempts == first.attempts + second.attempts > 0


async def test_trees_recorded_again_are_the_same_ones(tmp_path: Path) -> None:
    with opened(small_stream(tmp_path), tmp_path / "s") as (stream, _):
        first, again = await grown(stream, "a", 0), await grown(stream, "a", 0)
    for task in first.tasks:
        ids = [[seen.attempt.id for seen in trees.replay.trees[task.digest].history] for trees in (first, again)]
        assert ids[0] == ids[1]
    assert first.attempts == again.attempts


async def value(stream: Stream, candidate: Candidate, tasks: tuple[Task, ...]) -> float:
    evaluator = evaluator_of(stream.wired, split="search", namespace="after")
    scored = await evaluator.evaluate(Request(candidate, tasks, seed=3))
    return sum(one.score.values["correct"] or 0.0 for one in scored) / len(scored)


async def test_a_lesson_finds_what_is_planted_within_its_budget(tmp_path: Path) -> None:
    """A lamp says where to look; more is right on tasks that the lesson never saw."""
    config = small_stream(tmp_path, slice=16, generations=6, iterations=4, minibatch=8)
    with opened(config, tmp_path / "s") as (stream, _):
        learned = await learn(lesson_of(stream, await grown(stream, "a", 0)), stream.wired)
        unseen = (*stream.slices[1], *stream.slices[2])
        before, after = [await value(stream, one, unseen) for one in (seed_candidate(), learned.candidate)]
    assert set(learned.tasks) == {task.digest for task in stream.slices[0]}
    assert learned.live <= (16 + 2 * 8) * config.attempts
    assert learned.evaluations > 16
    assert after > before + 0.1
