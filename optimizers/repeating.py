"""Repeated rollouts: more draws of a contender's live tasks, where the same candidate fares differently by chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from optimizers.evaluator import Request
from optimizers.records import TaskScore
from signatures.digest import seed_of

if TYPE_CHECKING:
    from optimizers.book import Book
    from signatures.records import Candidate, Objective

HIGH: Final = 0.5
"""Share of the variance of a single rollout that is within tasks, from which on a task is rolled out again."""
LEAST_PROBED: Final = 8
"""Tasks that are rolled out twice to see that share, or a quarter of them where that is more."""


async def repeated(
    book: Book, candidate: Candidate, scores: Sequence[TaskScore], *, most: int
) -> tuple[TaskScore, ...]:
    """Further scores of a live candidate that would be on the front, under other seeds; none where they tell little.

    A few tasks are rolled out a second time first; all of them, `most` times in all, only where the share of variance
    within tasks is HIGH on some objective. Only what the budget and the limits pay for is asked.
    """
    evaluator, plan = book.evaluator, book.plan
    if most < 2 or any(score.source == "replay" for score in scores) or not _contends(book, scores):
        return ()
    probe = min(len(plan.val), max(LEAST_PROBED, len(plan.val) // 4))
    more: list[TaskScore] = []
    for number in range(1, most):
        seed = seed_of("repeat", plan.seed_on("val"), number)
        for tasks in (plan.val[:probe], plan.val[probe:]):
            if not tasks:
                continue
            if not evaluator.affords(len(tasks)):
                return tuple(more)
            scored = await evaluator.evaluate(Request(candidate, tasks, seed=seed))
            more += [one.score for one in scored if not one.score.set_aside]  # a fault is worth nothing, and counts
            if any(one.score.fault for one in scored) or within_share(scores, more, evaluator.setup.objectives) < HIGH:
                return tuple(more)
    return tuple(more)


def within_share(first: Sequence[TaskScore], more: Sequence[TaskScore], objectives: Sequence[Objective]) -> float:
    """The largest share, over objectives, of one rollout's variance that is within tasks; 0 where nothing varies.

    One-way analysis of variance with tasks as groups, over tasks with at least two rollouts; the share between tasks
    is what is left of the variance of single rollouts.
    """
    return max((_within(first, more, objective.name) for objective in objectives), default=0.0)


def _within(first: Sequence[TaskScore], more: Sequence[TaskScore], name: str) -> float:
    groups: dict[str, list[float]] = {}
    for score in (*first, *more):
        if (value := score.values.get(name)) is not None:
            groups.setdefault(score.task_digest, []).append(value)
    several = [values for values in groups.values() if len(values) > 1]
    if not several:
        return 0.0
    within = float(np.mean([np.var(values, ddof=1) for values in several]))
    whole = float(np.var(np.concatenate([np.array(values) for values in several])))
    return min(1.0, within / whole) if whole > 0 else 0.0


def _contends(book: Book, scores: Sequence[TaskScore]) -> bool:
    """Whether nothing on the front dominates these scores."""
    vector = book.entry(scores, generation=0).vector
    front = [entry.vector for entry in book.archive.front()]
    return not any(all(a >= b for a, b in zip(other, vector, strict=True)) and other != vector for other in front)
