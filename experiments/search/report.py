"""The end of a run: one table of arms and front members, and one honest sentence on the dev split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.table import Table

from experiments.search.narrator import interval_of
from optimizers.intervals import Interval, paired_interval
from optimizers.records import TaskScore
from signatures.records import Objective, Record

MEASURES: Final = ("missing", "attempts", "turns", "tokens", "usd")
"""Columns after the objectives; `missing` and `tokens` only where some row has any."""


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
    tokens: int | None
    "of all models asked: worker, policies and analyst"
    usd: float | None
    missing: int
    "evaluations without a value of the primary objective: left out and counted, never a zero"
    values: Mapping[str, Interval]


def row_of(name: str, role: str, scores: Sequence[TaskScore], objectives: Sequence[Objective]) -> Row:
    """The row of these scores."""
    values = {objective.name: interval_of(scores, objective.name) for objective in objectives}
    primary = values[objectives[0].name]
    return Row(
        name=name,
        role=role,
        n=primary.n,
        attempts=sum(score.used.attempts or 0 for score in scores),
        turns=_total([score.used.turns for score in scores]),
        tokens=_total([score.used.tokens for score in scores]),
        usd=_total([score.used.usd for score in scores]),
        missing=primary.missing,
        values=values,
    )


def table_of(rows: Sequence[Row], objectives: Sequence[Objective], of: str = "dev split") -> Table:
    """The rows as a rich table, objectives on [0, 1] with 95 % intervals over tasks."""
    table = Table(title=f"{of}: mean [95 % interval] per task, 1 is best", title_justify="left")
    table.add_column("controller", no_wrap=True)
    table.add_column("n", justify="right")
    for objective in objectives:
        table.add_column(objective.name, justify="right", no_wrap=True)
    optional = {name: any(getattr(row, name) for row in rows) for name in ("missing", "tokens")}
    measures = [name for name in MEASURES if optional.get(name, True)]
    for name in measures:
        table.add_column(name, justify="right")
    for number, row in enumerate(rows):
        if number and rows[number - 1].role != row.role:
            table.add_section()
        cells = [_cell(row.values[objective.name], row.n) for objective in objectives]
        table.add_row(row.name, str(row.n), *cells, *(_amount(getattr(row, name)) for name in measures))
    return table


class Comparison(Record):
    """A candidate minus a control arm on the primary objective, paired by task."""

    control: str
    difference: Interval

    @property
    def beats(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.difference.lo is not None and self.difference.lo > 0


def best_row(rows: Sequence[Row], objective: str) -> str:
    """The name of the row with the highest mean; rows without a value come last."""
    means = {row.name: row.values[objective].mean for row in rows}
    return max(means, key=lambda name: -1.0 if (mean := means[name]) is None else mean)


def compare(candidate: Sequence[TaskScore], control: Sequence[TaskScore], name: str, objective: str) -> Comparison:
    """The paired difference over common tasks."""
    return Comparison(
        control=name, difference=paired_interval(by_task(candidate, objective), by_task(control, objective))
    )


def sentence(
    name: str, primary: str, comparisons: Sequence[Comparison], *, n: int, front: int, tasks: str = "tasks"
) -> str:
    """What came of it, about the one candidate that the search split chose before dev, `n` `tasks`, was looked at."""
    said = "; ".join(_said(one) for one in comparisons)
    of = "the only one on the front" if front == 1 else f"the best {primary} of the {front} on the front"
    return (
        f"On dev ({n} {tasks}), {name}, chosen on search as {of}: {said}. "
        "One run of one search; an interval is not a gate."
    )


def as_json(
    rows: Sequence[Row], comparisons: Sequence[Comparison], text: str, paths: Mapping[str, str]
) -> dict[str, object]:
    """The final table for machines."""
    return {
        "rows": [row.model_dump(mode="json") for row in rows],
        "comparisons": [{**one.model_dump(mode="json"), "beats": one.beats} for one in comparisons],
        "sentence": text,
        "paths": dict(paths),
    }


def _said(one: Comparison) -> str:
    gap = one.difference
    if gap.mean is None:
        return f"not comparable with {one.control}, no task has a value for both"
    left_out = f", {gap.missing} values left out" if gap.missing else ""
    if gap.lo is None or gap.hi is None:
        return f"not comparable with {one.control} on {gap.n} task{left_out}"
    verb = "beat" if one.beats else "was worse than" if gap.hi < 0 else "did not beat"
    return f"{verb} {one.control} ({gap.mean:+.3f} [{gap.lo:+.3f}, {gap.hi:+.3f}], n={gap.n}{left_out})"


def by_task(scores: Sequence[TaskScore], objective: str) -> dict[str, list[float | None]]:
    """Task digest -> the values of one objective."""
    values: dict[str, list[float | None]] = {}
    for score in scores:
        values.setdefault(score.task_digest, []).append(score.values.get(objective))
    return values


def _total(values: Sequence[float | None]) -> Any:
    """The sum of what was measured; None where nothing was."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def _cell(interval: Interval, n: int) -> str:
    """Mean, interval, and n where it is not the row's."""
    if interval.mean is None:
        return "-"
    other = "" if interval.n == n else f" n={interval.n}"
    if interval.lo is None or interval.hi is None:
        return f"{interval.mean:.3f}{other}"
    return f"{interval.mean:.3f} [{interval.lo:.2f}, {interval.hi:.2f}]{other}"
