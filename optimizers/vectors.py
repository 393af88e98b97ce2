"""Means over tasks: from task scores to the vector that the archive and the acceptance compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from optimizers.archive import Entry, is_non_dominated
from optimizers.records import TaskScore
from signatures.errors import InfraError
from signatures.records import Objective

Floats = npt.NDArray[np.float64]


def table(scores: Sequence[TaskScore], objectives: Sequence[Objective]) -> Floats:
    """`N x M` values, one row per score and one column per objective; NaN = not measured."""
    names = [objective.name for objective in objectives]
    values_N = [score.values for score in scores]
    columns = [np.array([values.get(name) for values in values_N], dtype=np.float64) for name in names]  # None: NaN
    return np.column_stack(columns) if columns else np.empty((len(scores), 0))


def mean_vector(scores: Sequence[TaskScore], objectives: Sequence[Objective]) -> tuple[float, ...]:
    """The mean of each objective over the tasks that have it, each the mean of its repeats.

    Missing values are left out, never zero. Raises InfraError where an objective has no value at all: there is
    nothing to compare.
    """
    return _means(table(scores, objectives), scores, objectives)


def _means(values_N_M: Floats, scores: Sequence[TaskScore], objectives: Sequence[Objective]) -> tuple[float, ...]:
    places: dict[str, int] = {}
    task_N = np.array([places.setdefault(score.task_digest, len(places)) for score in scores], dtype=np.intp)
    known_N_M = ~np.isnan(values_N_M)
    vector: list[float] = []
    for objective, value_N, known_N in zip(objectives, values_N_M.T, known_N_M.T, strict=True):
        if not known_N.any():
            failed = next((s.failure.message for s in scores if s.failure is not None), "no value was measured")
            raise InfraError(f"{objective.name}: none of {len(scores)} evaluations has a value; {failed}")
        count_T = np.bincount(task_N[known_N], minlength=len(places))
        sum_T = np.bincount(task_N[known_N], weights=value_N[known_N], minlength=len(places))
        seen_T = count_T > 0
        vector.append(min(1.0, float((sum_T[seen_T] / count_T[seen_T]).mean())))
    return tuple(vector)


def entry_of(
    scores: Sequence[TaskScore],
    objectives: Sequence[Objective],
    *,
    generation: int,
    values_N_M: Floats | None = None,
) -> Entry:
    """The archive's entry of a candidate from its scores on the val tasks, repeats of a task among them.

    Evaluations without any value stand behind nothing; those that lack some count, since they move the other means.
    `values_N_M`: their table, where it is there already and no task is in it twice.
    """
    if values_N_M is not None and not np.isnan(values_N_M).any():
        vector = tuple(min(1.0, float(column_N.mean())) for column_N in np.ascontiguousarray(values_N_M.T))
        return Entry(candidate=scores[0].candidate, vector=vector, n=max(1, len(scores)), generation=generation)
    values_N_M = table(scores, objectives)
    measured = int((~np.isnan(values_N_M)).any(axis=1).sum())
    vector = _means(values_N_M, scores, objectives)
    return Entry(candidate=scores[0].candidate, vector=vector, n=max(1, measured), generation=generation)


def level(
    vector: tuple[float, ...],
    scores: Sequence[TaskScore],
    base: Sequence[TaskScore],
    objectives: Sequence[Objective],
) -> tuple[float, ...]:
    """The means `vector` of `scores` as they would be over the tasks that `base` has values of.

    Where a value is missing it is the base's mean plus the mean difference to it on the tasks that both have: else a
    candidate would gain by an infrastructure failure on a hard task.
    """
    found: list[float] = []
    for objective, mean in zip(objectives, vector, strict=True):
        own, other = _by_task(scores, objective.name), _by_task(base, objective.name)
        both = [task for task in other if task in own]
        if own.keys() == other.keys() or not both:
            found.append(mean)
            continue
        moved = float(np.mean([own[task] for task in both]))
        if len(both) < len(other):
            moved += float(np.mean(list(other.values()))) - float(np.mean([other[task] for task in both]))
        found.append(min(1.0, max(0.0, moved)))
    return tuple(found)


def _by_task(scores: Sequence[TaskScore], name: str) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for score in scores:
        if (value := score.values.get(name)) is not None:
            values.setdefault(score.task_digest, []).append(value)
    return {task: sum(several) / len(several) for task, several in values.items()}


def worth_keeping(child_N_M: Floats, parent_N_M: Floats) -> bool:
    """Whether the child's mean vector is neither dominated by nor equal to the parent's on the same tasks.

    Tasks on which either lacks a value (NaN) are left out of both; where none is left the child is not kept.
    """
    both_N = paired_rows(child_N_M, parent_N_M)
    if not both_N.any():
        return False
    means_2_M = np.array([child_N_M[both_N].mean(axis=0), parent_N_M[both_N].mean(axis=0)])
    return bool((means_2_M[0] != means_2_M[1]).any() and is_non_dominated(means_2_M)[0])


def paired_rows(child_N_M: Floats, parent_N_M: Floats) -> npt.NDArray[np.bool_]:
    """Which rows have every value on both sides."""
    gaps_N_M = np.isnan(child_N_M) | np.isnan(parent_N_M)
    return np.asarray(~gaps_N_M.any(axis=1), dtype=np.bool_)


def complete(score: TaskScore, objectives: Sequence[Objective]) -> bool:
    """Whether every objective has a value."""
    return all(score.values.get(objective.name) is not None for objective in objectives)
