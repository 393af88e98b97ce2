"""Means over tasks: from task scores to the vector that the archive and the acceptance compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optimizers.archive import Entry, is_non_dominated
from optimizers.records import TaskScore
from signatures.errors import InfraError
from signatures.records import Objective


def mean_vector(scores: Sequence[TaskScore], objectives: Sequence[Objective]) -> tuple[float, ...]:
    """The mean of each objective over the scores that have it; missing values are left out, never zero.

    Raises InfraError where an objective has no value at all: there is nothing to compare.
    """
    vector: list[float] = []
    for objective in objectives:
        known = [value for score in scores if (value := score.values.get(objective.name)) is not None]
        if not known:
            failed = next((s.failure.message for s in scores if s.failure is not None), "no value was measured")
            raise InfraError(f"{objective.name}: none of {len(scores)} evaluations has a value; {failed}")
        vector.append(min(1.0, sum(known) / len(known)))
    return tuple(vector)


def entry_of(scores: Sequence[TaskScore], objectives: Sequence[Objective], *, generation: int) -> Entry:
    """The archive's entry of a candidate from its scores on the val tasks."""
    complete = sum(_complete(score, objectives) for score in scores)
    vector = mean_vector(scores, objectives)
    return Entry(candidate=scores[0].candidate, vector=vector, n=max(1, complete), generation=generation)


def worth_keeping(child: Sequence[TaskScore], parent: Sequence[TaskScore], objectives: Sequence[Objective]) -> bool:
    """Whether the child's vector is neither dominated by nor equal to the parent's on the same tasks.

    Tasks on which either lacks a value are left out of both; where none is left the child is not kept.
    """
    pairs = [pair for pair in zip(child, parent, strict=True) if all(_complete(one, objectives) for one in pair)]
    if not pairs:
        return False
    new, old = (mean_vector(side, objectives) for side in zip(*pairs, strict=True))
    return new != old and bool(is_non_dominated(np.array([new, old]))[0])


def _complete(score: TaskScore, objectives: Sequence[Objective]) -> bool:
    return all(score.values.get(objective.name) is not None for objective in objectives)
