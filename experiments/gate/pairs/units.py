"""What counts as one pair: a task with its repeats, or a cluster of tasks where there are enough clusters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from experiments.gate.pairs.pairs_file import PairsFile

if TYPE_CHECKING:
    from optimizers.gate.paired import Pairs

ENOUGH_CLUSTERS: Final = 10


@dataclass(frozen=True)
class Paired:
    """One experiment, paired."""

    pairs: tuple[Pairs, ...]
    "by objective, the primary one first"
    unit: Literal["task", "cluster"]
    tasks: int
    clusters: int | None
    "None: the file has no column `cluster`"

    @property
    def note(self) -> str | None:
        """What a reader must know about the unit; None: tasks without clusters."""
        if self.clusters is None:
            return None
        if self.unit == "cluster":
            return (
                f"the unit is the cluster: {self.clusters} clusters of {self.tasks} tasks, each the mean of its tasks"
            )
        few = f"{self.clusters} clusters are fewer than {ENOUGH_CLUSTERS}, so the task is the unit"
        return f"{few}: where tasks of one cluster go together, the test is too sure"


def paired(file: PairsFile, tasks: Mapping[str, Sequence[int]], *, arrival: bool = False) -> Paired:
    """The pairs of one experiment, given its tasks' rows: a unit's value is the mean over its repeats, or over its
    tasks' means.

    Clusters are the unit from ten on (on fewer, neither unit is safe: see the note). Units are in the order of their
    names, so that the order of the rows changes nothing, or with `arrival` in that of the rows, which optional
    stopping follows.
    """
    from optimizers.gate.paired import pairs_of

    members: dict[str, list[str]] = {}
    if file.clusters:
        for task, rows in tasks.items():
            members.setdefault(file.clusters[rows[0]], []).append(task)
    clustered = len(members) >= ENOUGH_CLUSTERS
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
    return Paired(tuple(pairs), "cluster" if clustered else "task", len(tasks), len(members) or None)


def _mean(values: Sequence[float], rows: Sequence[int]) -> float:
    return math.fsum(values[row] for row in rows) / len(rows)
