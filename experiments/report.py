"""The end of a run: one table of arms and front members, and one honest sentence on the dev split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from experiments.narrator import interval_of
from optimizers.intervals import Interval, paired_interval
from optimizers.records import TaskScore
from signatures.records import Objective, Record


class Row(Record):
    """One arm or front member on the dev split."""

    name: str
    role: str
    "arm, front, or random search"
    n: int
    "tasks"
    attempts: int
    "live attempts spent on this row"
    turns: int | None
    usd: float | None
    missing: int
    "evaluations without a value: infrastructure failures, left out"
    values: Mapping[str, Interval]


def row_of(name: str, role: str, scores: Sequence[TaskScore], objectives: Sequence[Objective]) -> Row:
    """The row of these scores."""
    values = {objective.name: interval_of(scores, objective.name) for objective in objectives}
    primary = values[objectives[0].name]
    turns = [score.used.turns for score in scores if score.used.turns is not None]
    usd = [score.used.usd for score in scores if score.used.usd is not None]
    return Row(
        name=name,
        role=role,
        n=primary.n,
        attempts=sum(score.used.attempts or 0 for score in scores),
        turns=sum(turns) if turns else None,
        usd=sum(usd) if usd else None,
        missing=primary.missing,
        values=values,
    )


def table_of(rows: Sequence[Row], objectives: Sequence[Objective]) -> Table:
    """The rows as a rich table, objectives on [0, 1] with 95 % intervals over tasks."""
    table = Table(title="dev split: mean [95 % interval] per task, 1 is best", title_justify="left")
    table.add_column("controller", no_wrap=True)
    table.add_column("n", justify="right")
    for objective in objectives:
        table.add_column(objective.name, justify="right", no_wrap=True)
    for name in ("attempts", "turns", "usd"):
        table.add_column(name, justify="right")
    for number, row in enumerate(rows):
        if number and rows[number - 1].role != row.role:
            table.add_section()
        cells = [_cell(row.values[objective.name]) for objective in objectives]
        money = "-" if row.usd is None else f"{row.usd:.4f}"
        turns = "-" if row.turns is None else str(row.turns)
        table.add_row(row.name, str(row.n), *cells, str(row.attempts), turns, money)
    return table


class Comparison(Record):
    """A candidate minus a control arm on the primary objective, paired by task."""

    control: str
    difference: Interval

    @property
    def beats(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.difference.lo is not None and self.difference.lo > 0


def compare(candidate: Sequence[TaskScore], control: Sequence[TaskScore], name: str, objective: str) -> Comparison:
    """The paired difference over common tasks."""
    return Comparison(
        control=name, difference=paired_interval(_by_task(candidate, objective), _by_task(control, objective))
    )


def sentence(name: str, primary: str, comparisons: Sequence[Comparison], *, n: int, front: int) -> str:
    """What came of it, about the one candidate that the search split chose before dev was looked at."""
    said = "; ".join(_said(one) for one in comparisons)
    return (
        f"On dev ({n} tasks), {name}, chosen on search as the best {primary} of the {front} on the front: {said}. "
        "One run of one search; an interval is not a gate."
    )


def as_json(
    rows: Sequence[Row], comparisons: Sequence[Comparison], text: str, paths: Mapping[str, str]
) -> dict[str, Any]:
    """The final table for machines."""
    return {
        "rows": [row.model_dump(mode="json") for row in rows],
        "comparisons": [{**one.model_dump(mode="json"), "beats": one.beats} for one in comparisons],
        "sentence": text,
        "paths": dict(paths),
    }


def _said(one: Comparison) -> str:
    gap = one.difference
    if gap.mean is None or gap.lo is None or gap.hi is None:
        return f"not comparable with {one.control}"
    verb = "beat" if one.beats else "was worse than" if gap.hi < 0 else "did not beat"
    return f"{verb} {one.control} ({gap.mean:+.3f} [{gap.lo:+.3f}, {gap.hi:+.3f}])"


def _by_task(scores: Sequence[TaskScore], objective: str) -> dict[str, list[float | None]]:
    values: dict[str, list[float | None]] = {}
    for score in scores:
        values.setdefault(score.task_digest, []).append(score.values.get(objective))
    return values


def _cell(interval: Interval) -> str:
    if interval.mean is None:
        return "-"
    if interval.lo is None or interval.hi is None:
        return f"{interval.mean:.3f}"
    return f"{interval.mean:.3f} [{interval.lo:.2f}, {interval.hi:.2f}]"
