"""Pairs of anyone's results: a file of tasks with both sides, by experiment, checked cell by cell."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final
from unicodedata import normalize

from experiments.gate.pairs.options import PRIMARY, Range, ranges_of
from experiments.gate.pairs.sheet import Sheet, read_sheet
from signatures.errors import UsageError

REQUIRED: Final = ("task", "baseline", "candidate")
OPTIONAL: Final = ("experiment", "cluster", "repeat")
ABSENT: Final = frozenset(("", "na", "n/a", "nan", "null", "none"))
SIDE: Final = re.compile(r"(.+)_(baseline|candidate)")


@dataclass(frozen=True)
class PairsFile:
    """What a file holds; a row is known by its index."""

    ranges: Mapping[str, Range]
    "by objective, the primary one first"
    values: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    "objective -> baseline and candidate, by row"
    experiments: Mapping[str | None, Mapping[str, Sequence[int]]]
    "experiment -> task -> its rows, a repeat each, in the file's order; None: the file has no column `experiment`"
    clusters: Sequence[str] | None
    "by row; None: the file has no column `cluster`"
    ignored: tuple[str, ...]
    "columns that mean nothing here"


def read_pairs(path: Path, ranges: Sequence[str] = ()) -> PairsFile:
    """The pairs in `path`; `ranges` as `--range` has them.

    Raises UsageError in one line that names the place: what `read_sheet` refuses, a missing or misspelt column, an
    empty cell (NaN and null are empty), a value that is no number or outside its range, a (task, repeat) that is
    there twice in one experiment, a task in two clusters.
    """
    sheet = read_sheet(path)
    sides, ignored = _objectives(sheet)
    by_name = ranges_of(list(sides), ranges)
    values = {
        name: (_numbers(sheet, baseline, by_name[name]), _numbers(sheet, candidate, by_name[name]))
        for name, (baseline, candidate) in sides.items()
    }
    experiments = _experiments(sheet)
    clusters = _texts(sheet, "cluster") if "cluster" in sheet.columns else None
    if clusters:
        _refuse_two_clusters(sheet, experiments, clusters)
    return PairsFile(by_name, values, experiments, clusters, ignored)


def _objectives(sheet: Sheet) -> tuple[dict[str, tuple[str, str]], tuple[str, ...]]:
    """Objective -> its two columns, the primary one first; and the columns that mean nothing."""
    for name in REQUIRED:
        if name not in sheet.columns:
            raise UsageError(f"{sheet.path}: no column {name!r}; it has {', '.join(map(repr, sheet.columns))}")
    absent = [name for name in OPTIONAL if name not in sheet.columns]
    sides, ignored = {PRIMARY: ("baseline", "candidate")}, []
    for column in (column for column in sheet.columns if column not in (*REQUIRED, *OPTIONAL)):
        objective = SIDE.fullmatch(column)
        if objective:
            sides[_objective(sheet, objective[1], column)] = (f"{objective[1]}_baseline", f"{objective[1]}_candidate")
        elif close := difflib.get_close_matches(column.lower(), absent, n=1, cutoff=0.8):
            raise UsageError(f"{sheet.path}: column {column!r}: did you mean {close[0]!r}?")
        else:
            ignored.append(column)
    return sides, tuple(ignored)


def _objective(sheet: Sheet, name: str, column: str) -> str:
    if name == PRIMARY:
        raise UsageError(f"{sheet.path}: column {column!r}: {PRIMARY!r} names the columns 'baseline' and 'candidate'")
    for side in ("baseline", "candidate"):
        if f"{name}_{side}" not in sheet.columns:
            raise UsageError(f"{sheet.path}: column {column!r} stands alone: no column '{name}_{side}'")
    return name


def _experiments(sheet: Sheet) -> dict[str | None, dict[str, list[int]]]:
    """Experiment -> task -> its rows."""
    tasks = _texts(sheet, "task")
    repeats = _texts(sheet, "repeat") if "repeat" in sheet.columns else [None] * len(tasks)
    names = _texts(sheet, "experiment") if "experiment" in sheet.columns else [None] * len(tasks)
    found: dict[str | None, dict[str, list[int]]] = {}
    seen: dict[tuple[str | None, str, str | None], int] = {}
    for i, key in enumerate(zip(names, tasks, repeats, strict=True)):
        name, task, repeat = key
        if (first := seen.setdefault(key, i)) != i:
            what = f"task {task}" if repeat is None else f"task {task}, repeat {repeat},"
            within = "" if name is None else f" in experiment {name}"
            raise UsageError(
                f"{sheet.place(i)}: {what} is there twice{within}, first in {sheet.unit} {sheet.rows[first]}"
            )
        found.setdefault(name, {}).setdefault(task, []).append(i)
    return found


def _refuse_two_clusters(
    sheet: Sheet, experiments: Mapping[str | None, Mapping[str, Sequence[int]]], clusters: Sequence[str]
) -> None:
    for tasks in experiments.values():
        for task, rows in tasks.items():
            if len(its := {clusters[i] for i in rows}) > 1:
                raise UsageError(f"{sheet.place(rows[-1])}: task {task} is in two clusters: {', '.join(sorted(its))}")


def _texts(sheet: Sheet, column: str) -> list[str]:
    cells = sheet.columns[column]
    # one name in two spellings of unicode is one name
    texts = ["" if cell is None or cell != cell else normalize("NFC", str(cell).strip()) for cell in cells]
    if "" in texts:
        raise UsageError(f"{sheet.place(texts.index(''))}: no value in column {column!r}")
    return texts


def _numbers(sheet: Sheet, column: str, range: Range) -> list[float]:
    cells = sheet.columns[column]
    values = [_number(cell) for cell in cells]
    for i, value in enumerate(values):
        if not range.lo <= value <= range.hi:
            raise UsageError(f"{sheet.place(i)}: task {sheet.columns['task'][i]}: {_wrong(column, cells[i], range)}")
    return values


def _number(cell: object) -> float:
    """What a cell says, `true` being 1; NaN: nothing, or no number."""
    if isinstance(cell, str):
        try:
            return float(cell)
        except ValueError:
            return {"true": 1.0, "false": 0.0}.get(cell.strip().lower(), math.nan)
    return float(cell) if isinstance(cell, bool | int | float | Decimal) else math.nan


def _wrong(column: str, cell: object, range: Range) -> str:
    value = _number(cell)
    if cell is None or str(cell).strip().lower() in ABSENT:
        return f"no value in column {column!r}"
    if math.isnan(value):
        return f"{cell!r} in column {column!r} is no number"
    return f"{value:.17g} in column {column!r} is outside the range {range.lo:g} to {range.hi:g}; see --range"
