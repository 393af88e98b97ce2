"""Results by held-out family: how each row does on the dev tasks of every family that the search never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.table import Table

from experiments import Benchmark
from experiments.search.narrator import interval_of
from optimizers.intervals import Interval
from optimizers.records import TaskScore
from signatures.records import Task

ByFamily = Mapping[str, Mapping[str, Interval]]
"""Row -> family -> interval of the primary objective."""
MOST_FAMILIES: Final = 6
"""More columns than this cannot be read; the JSON has them all."""


def held_out(benchmark: Benchmark, tasks: Sequence[Task]) -> dict[str, set[str]]:
    """Family -> digests of those of its dev tasks that were used, for families that no search task belongs to."""
    known = {family for families in benchmark.families("search").values() for family in families}
    families_of = benchmark.families("dev")
    found: dict[str, set[str]] = {}
    for task in tasks:
        for family in families_of.get(task.digest, ()):
            if family not in known:
                found.setdefault(family, set()).add(task.digest)
    return dict(sorted(found.items()))


def by_family(rows: Mapping[str, Sequence[TaskScore]], families: Mapping[str, set[str]], objective: str) -> ByFamily:
    """The mean of `objective` for each row and family; a task with two families counts in both."""
    return {
        row: {
            family: interval_of([score for score in scores if score.task_digest in tasks], objective)
            for family, tasks in families.items()
        }
        for row, scores in rows.items()
    }


def family_table(found: ByFamily, objective: str) -> Table:
    """One line per row, one column per held-out family, each mean with its 95 % interval and n."""
    table = Table(title=f"dev split: {objective} by held-out family", title_justify="left")
    table.add_column("controller", no_wrap=True)
    for family in next(iter(found.values()), {}):
        table.add_column(family, justify="right", no_wrap=True)
    for row, cells in found.items():
        table.add_row(row, *(_cell(interval) for interval in cells.values()))
    return table


def _cell(interval: Interval) -> str:
    if interval.mean is None:
        return "-"
    span = "" if interval.lo is None or interval.hi is None else f" [{interval.lo:.2f}, {interval.hi:.2f}]"
    return f"{interval.mean:.3f}{span} n={interval.n}"
