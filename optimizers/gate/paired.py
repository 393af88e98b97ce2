"""Pairs of one contrast: baseline and candidate on the same tasks, the task as the unit, its repeats nested in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optimizers.episode_log import Floats
from signatures.errors import UsageError

Values = Mapping[str, Sequence[float | None]]
"""Task -> the values of its repeats; None: that one is missing."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of one objective, in the order in which the baseline's tasks were given."""

    objective: str
    tasks: tuple[str, ...]
    baseline_T: Floats
    "means over a task's repeats"
    candidate_T: Floats
    repeats_T: tuple[int, ...]
    "repeats with a value, of the side that has fewer; equal numbers: pairs of repeats"
    lo: float
    hi: float
    "range of one value, so that a difference lies between `lo - hi` and `hi - lo`"
    missing: int
    "repeats left out because a side of them has no value"
    pass_fail: bool
    "every value is 0 or 1, the range is 0 to 1, and no task has a repeat"

    @property
    def difference_T(self) -> Floats:
        """Candidate less baseline, by task."""
        difference_T: Floats = self.candidate_T - self.baseline_T
        return difference_T

    @property
    def bound(self) -> float:
        """The largest difference that the range allows."""
        return self.hi - self.lo


def pairs_of(objective: str, baseline: Values, candidate: Values, *, lo: float = 0.0, hi: float = 1.0) -> Pairs:
    """One pair for each task where both sides have a value; what lacks a side is counted, never taken for 0.

    Where both sides have the same number of repeats, repeat i is paired with repeat i and one that lacks a side is
    left out; else a side's mean is over the repeats that it has. Raises UsageError on a range that is none, and on a
    value that is not finite or is outside the range, with the task and the value.
    """
    if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi):
        raise UsageError(f"range {lo} to {hi} of {objective}: the upper end must be above the lower one")
    for side, values in (("baseline", baseline), ("candidate", candidate)):
        _require_in_range(f"{side} {objective}", values, lo, hi)
    tasks, sides, missing = [], [], 0
    for task in [*baseline, *(task for task in candidate if task not in baseline)]:
        first, second, lost = _paired(baseline.get(task, ()), candidate.get(task, ()))
        missing += lost
        if first and second:
            tasks.append(task)
            sides.append((first, second))
    single = all(len(first) == len(second) == 1 for first, second in sides)
    binary = (lo, hi) == (0.0, 1.0) and all(value in (0.0, 1.0) for pair in sides for side in pair for value in side)
    return Pairs(
        objective=objective,
        tasks=tuple(tasks),
        baseline_T=_means([first for first, _ in sides]),
        candidate_T=_means([second for _, second in sides]),
        repeats_T=tuple(min(len(first), len(second)) for first, second in sides),
        lo=float(lo),
        hi=float(hi),
        missing=missing,
        pass_fail=bool(sides) and single and binary,
    )


def _require_in_range(what: str, values: Values, lo: float, hi: float) -> None:
    for task, repeats in values.items():
        for value in repeats:
            if value is not None and not lo <= value <= hi:
                raise UsageError(f"task {task}: {what} is {value}, outside the range {lo} to {hi}")


def _paired(first: Sequence[float | None], second: Sequence[float | None]) -> tuple[list[float], list[float], int]:
    """The values of each side that count, and how many repeats were left out."""
    if len(first) == len(second):
        both = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
        return [float(a) for a, _ in both], [float(b) for _, b in both], len(first) - len(both)
    firsts = [float(a) for a in first if a is not None]
    seconds = [float(b) for b in second if b is not None]
    if firsts and seconds:
        return firsts, seconds, len(first) - len(firsts) + len(second) - len(seconds)
    return firsts, seconds, max(len(first), len(second))


def _means(sides: Sequence[Sequence[float]]) -> Floats:
    means_T: Floats = np.array([math.fsum(side) / len(side) for side in sides], dtype=np.float64)
    means_T.flags.writeable = False
    return means_T
