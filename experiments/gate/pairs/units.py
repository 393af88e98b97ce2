"""What counts as one pair: a task with its repeats, or a cluster of tasks where the file names clusters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from experiments.gate.pairs.pairs_file import PairsFile

if TYPE_CHECKING:
    from optimizers.gate.paired import Pairs


@dataclass(frozen=True)
class Paired:
    """One experiment, paired."""

    pairs: tuple[Pairs, ...]
    "by objective, the primary one first"
    unit: Literal["task", "cluster"]
    tasks: int
    clusters: int | None
    "None: the file has no column `cluster`"
    over_tasks: float = 0.0
    "mean difference of the primary objective over tasks, where clusters are the unit"

    @property
    def note(self) -> str | None:
        """What a reader must know about the unit; None: tasks without clusters."""
        if self.clusters is None:
            return None
        unit = f"the unit is the cluster: {self.clusters} clusters of {self.tasks} tasks, each the mean of its tasks"
        return f"{unit}; over tasks the mean difference is {self.over_tasks:+.4g}"


def paired(file: PairsFile, tasks: Mapping[str, Sequence[int]], *, arrival: bool = False) -> Paired:
    """The pairs of one experiment, given its tasks' rows: a unit's value is the mean over its repeats, or over its
    tasks' means.

    Where the file names clusters they are the unit, however few: a bet on their means is valid at any number of
    them, one on tasks that go together is not. Units are in the order of their names, so that the order of the rows
    changes nothing, or with `arrival` in that of the rows, which optional stopping follows.
    """
    from optimizers.gate.paired import pairs_of

    members: dict[str, list[str]] = {}
    if file.clusters:
        for task, rows in tasks.items():
            members.setdefault(file.clusters[rows[0]], []).append(task)
    clustered = bool(members)
    names = members if clustered else tasks
    ordered = list(names) if arrival else sorted(names)
    pairs = []
    for objective, range in file.ranges.items():
        sides: list[dict[str, list[float]]] = []
        for values in file.values[objective]:
            if clustered:
                side = {name: [_mean(values, tasks[task]) for task in members[name]] for name in ordered}
            else:
                side = {name: [values[row] for row in tasks[name]] for name in ordered}
            sides.append(side)
        pairs.append(pairs_of(objective, sides[0], sides[1], lo=range.lo, hi=range.hi))
    if not clustered:
        return Paired(tuple(pairs), "task", len(tasks), None)
    before, after = file.values[next(iter(file.ranges))]
    gaps = [_mean(after, rows) - _mean(before, rows) for rows in tasks.values()]
    return Paired(tuple(pairs), "cluster", len(tasks), len(members), math.fsum(gaps) / len(gaps))


def _mean(values: Sequence[float], rows: Sequence[int]) -> float:
    return math.fsum(values[row] for row in rows) / len(rows)
