"""Repeats: where a live task fares differently by chance it is rolled out again, and elsewhere it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from controllers.program import rule_component
from optimizers.book import Book
from optimizers.ideas import Idea
from optimizers.meter import Limits
from optimizers.racing import Halving
from optimizers.records import TaskScore
from optimizers.repeating import LEAST_PROBED, repeated, within_share
from optimizers.testing_world import OBJECTIVES, Problem, Told
from signatures.records import Candidate


def scores(values: dict[str, float], seed: int) -> list[TaskScore]:
    return [
        TaskScore(
            candidate="c",
            condition="candidate",
            task_digest=task,
            seed=seed,
            split="search",
            values={"correct": value, "fast": 1.0},
            source="live",
        )
        for task, value in values.items()
    ]


def test_the_share_of_variance_within_tasks() -> None:
    first = {"a": 1.0, "b": 0.0, "c": 1.0, "d": 0.0}
    assert within_share(scores(first, 1), scores(first, 2), OBJECTIVES) == 0.0
    other = {task: 1.0 - value for task, value in first.items()}
    assert within_share(scores(first, 1), scores(other, 2), OBJECTIVES) == 1.0
    assert within_share(scores(first, 1), [], OBJECTIVES) == 0.0


def saying(candidate: Candidate, word: str, *, stop: bool = False) -> Candidate:
    """One directive after the first attempt; `stop`: no second attempt at all."""
    changed = {"steer": rule_component([], {word: 1.0})}
    if stop:
        changed["stop"] = rule_component([], {"done": 1.0})
    return Candidate(components={**candidate.components, **changed})


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_a_contender_is_rolled_out_again_and_the_front_with_it(tmp_path: Path, most: int) -> None:
    """Every attempt of the planted world is a draw; the archive says how many stand behind each mean."""
    problem = Problem()
    plan = problem.plan()
    with problem.evaluator(tmp_path) as evaluator:
        book = Book(plan, evaluator, Told(), letter="t")
        await book.start()
        quick = saying(plan.start, "left", stop=True)
        idea = Idea(quick, "test", "It is quicker.", (plan.start.digest,))
        assert (await book.consider(idea, race=Halving(repeats=most))).decision == "accepted"
        behind = {entry.candidate: entry.n for entry in book.archive.front()}
    probed = min(len(plan.val), LEAST_PROBED)
    assert probed == len(plan.val)
    least, most_of = min(most, 2) * len(plan.val), most * len(plan.val)
    assert least <= behind[quick.digest] <= most_of
    assert all(least <= n <= most_of for n in behind.values()), "the others on the front too"


async def test_a_limit_ends_repeats_without_ending_the_candidate(tmp_path: Path) -> None:
    problem = Problem(concurrency=1)
    plan = problem.plan()
    with problem.evaluator(tmp_path, Limits(attempts=30)) as evaluator:
        book = Book(plan, evaluator, Told(), letter="t")
        await book.start()
        quick = saying(plan.start, "left", stop=True)
        found = await book.consider(
            Idea(quick, "test", "It is quicker.", (plan.start.digest,)), race=Halving(repeats=9)
        )
        assert found.decision == "accepted" and evaluator.meter.spent().attempts <= 30


async def test_a_failure_on_the_hard_tasks_makes_no_contender(tmp_path: Path) -> None:
    """Its mean over what is left looks better than the start's; on the same tasks it is slower and nothing else."""
    problem = Problem()
    plan = problem.plan()
    with problem.evaluator(tmp_path) as evaluator:
        book = Book(plan, evaluator, Told(), letter="t")
        start = await book.start()
        other = saying(plan.start, "left")
        lost = dict.fromkeys(start.scores[0].values)
        values = [{**one.values, "fast": (one.values["fast"] or 0.0) / 2} for one in start.scores]
        failed = [value if value["correct"] else lost for value in values]
        assert 0 < failed.count(lost) < len(failed)
        before = problem.worker.attempts
        for found, contends in ((values, False), (failed, False), ([dict(s.values) for s in start.scores], True)):
            scores = [
                one.model_copy(update={"candidate": other.digest, "values": value})
                for one, value in zip(start.scores, found, strict=True)
            ]
            assert bool(await repeated(book, other, scores, most=2)) is contends
            assert (problem.worker.attempts > before) is contends
