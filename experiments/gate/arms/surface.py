"""Where the steering effect is: over the budget, the worker's noise and the difficulty of the task, as a figure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from experiments.gate.arms.contrasts import Measured, Terms, paired_values
from optimizers.gate.evidence import evidence_of
from optimizers.gate.paired import Values
from signatures.records import Finite, NonNegative, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Panel = Literal["budget", "noise", "difficulty", "family"]
FIGURE: Final = "surface.png"
MOST_FAMILIES: Final = 16
"""Rows that can be read: those with the most tasks; the JSON has them all."""
LEAST_SHOWN: Final = 10
"""Tasks of a group that is drawn: the interval of fewer would dwarf the others; the JSON has them all."""
COLOURS: Final = ("#1f5fbf", "#c4661f", "#1b7f5c", "#7a3fa0", "#6e6e6e")
TITLES: Final[Mapping[Panel, str]] = {
    "budget": "budget: turns per attempt, a line per attempts",
    "noise": "worker noise, a line per turns per attempt",
    "difficulty": "difficulty of the task",
    "family": "family of the task",
}


class Cell(Record):
    """The effect at one place of the surface; its interval is its own, not corrected for how many cells there are."""

    panel: Panel
    label: str
    attempts: int = Field(ge=1)
    turns: int = Field(ge=1)
    "per attempt"
    noise: NonNegative | None = None
    "None: as the benchmark is configured"
    n: int = Field(ge=0)
    baseline: Finite | None
    candidate: Finite | None
    effect: Finite | None
    lo: Finite | None
    hi: Finite | None


class Place(Record):
    """Where a cell is, before anything was measured there."""

    panel: Panel
    label: str
    attempts: int
    turns: int
    noise: NonNegative | None = None


def cell_of(place: Place, treatment: Values, control: Values, terms: Terms) -> Cell:
    """The effect on these tasks, with an interval at the registered alpha."""
    pairs = paired_values(control, treatment, terms.primary, terms.clusters)
    found = evidence_of(pairs, alpha=terms.alpha)
    measured = found.model_dump(include={"n", "baseline", "candidate", "effect", "lo", "hi"})
    return Cell.model_validate({**place.model_dump(), **measured})


def places_of(
    attempts: Sequence[int], turns: Sequence[int], noise: Sequence[float], *, usual: int
) -> tuple[Place, ...]:
    """The budget grid at the configured noise, and each noise under each number of turns at the usual attempts."""
    budget = [Place(panel="budget", label=f"{k} x {t}", attempts=k, turns=t) for k in attempts for t in turns]
    noisy = [
        Place(panel="noise", label=f"noise {x:g}, {usual} x {t}", attempts=usual, turns=t, noise=x)
        for x in noise
        for t in turns
    ]
    return (*budget, *noisy)


def difficulty_cells(
    arms: tuple[Measured, Measured, Measured], families: Mapping[str, Sequence[str]], terms: Terms
) -> list[Cell]:
    """The effect by how one attempt without a controller did, by the number of a task's families, and by family.

    arms: treatment, control and blind. Blind has the seeds of both, so what it did was settled before any steer. The
    task is the unit here: a family is not split.
    """
    treatment, control, blind = arms
    own = Terms(terms.objectives, terms.alpha)
    turns = treatment.arm.turns_per_attempt or 1
    ours, theirs = treatment.values(terms.primary), control.values(terms.primary)
    grouped: list[tuple[Panel, dict[str, set[str]]]] = [
        ("difficulty", _by_blind(blind.values(terms.primary))),
        ("difficulty", _by_count(families, ours)),
        ("family", by_family(families, ours)),
    ]
    return [
        cell_of(
            Place(panel=panel, label=label, attempts=treatment.arm.attempts, turns=turns),
            _only(ours, tasks),
            _only(theirs, tasks),
            own,
        )
        for panel, groups in grouped
        for label, tasks in groups.items()
    ]


def leave_one_out(
    treatment: Values, control: Values, families: Mapping[str, Sequence[str]], objective: str
) -> tuple[float, float] | None:
    """Least and largest effect when the tasks of one family are left out; None with fewer than two families."""
    groups = by_family(families, treatment)
    effects = []
    for left_out in groups.values():
        rest = set(treatment) - left_out
        pairs = paired_values(_only(control, rest), _only(treatment, rest), objective, {})
        if pairs.tasks:
            effects.append(float(pairs.difference_T.mean()))
    return (min(effects), max(effects)) if len(effects) > 1 else None


def draw_surface(path: Path, cells: Sequence[Cell], title: str) -> None:
    """Write one PNG with a panel for each part of the surface that was measured: effects in points, with intervals."""
    from matplotlib.figure import Figure

    drawn = {panel: chosen for panel in TITLES if (chosen := _drawn(cells, panel))}
    figure = Figure(figsize=(5.2 * max(1, len(drawn)), 5.2), layout="constrained")
    places = figure.subplots(1, max(1, len(drawn)), squeeze=False)[0]
    for axes, (panel, chosen) in zip(places, drawn.items(), strict=False):
        if panel == "budget":
            _lines(axes, [(f"{c.attempts} attempts", float(c.turns), c) for c in chosen], "turns per attempt")
        elif panel == "noise":
            _lines(axes, [(f"{c.turns} turns", c.noise or 0.0, c) for c in chosen], "worker noise")
        else:
            largest = sorted(chosen, key=lambda cell: -cell.n)[:MOST_FAMILIES]
            _rows(axes, [cell for cell in chosen if cell in largest])
        shown = (
            f", the {MOST_FAMILIES} largest of {len(chosen)}"
            if len(chosen) > MOST_FAMILIES and panel == "family"
            else ""
        )
        axes.set_title(TITLES[panel] + shown, loc="left", fontsize=9)
        axes.grid(alpha=0.2)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    figure.savefig(path, dpi=120)


def _drawn(cells: Sequence[Cell], panel: Panel) -> list[Cell]:
    """The cells of a panel that were measured; groups of tasks only where they are large enough."""
    least = LEAST_SHOWN if panel in ("difficulty", "family") else 0
    return [cell for cell in cells if cell.panel == panel and cell.effect is not None and cell.n >= least]


def _by_blind(blind: Values) -> dict[str, set[str]]:
    """Tasks by what one attempt without a controller reached."""
    found: dict[str, set[str]] = {"blind: never solved": set(), "blind: sometimes": set(), "blind: always": set()}
    never, sometimes, always = found.values()
    for task, repeats in blind.items():
        known = [value for value in repeats if value is not None]
        if known:
            mean = sum(known) / len(known)
            (never if mean <= 0 else always if mean >= 1 else sometimes).add(task)
    return {label: tasks for label, tasks in found.items() if tasks}


def _by_count(families: Mapping[str, Sequence[str]], tasks: Iterable[str]) -> dict[str, set[str]]:
    """Tasks by how many families they belong to, such as layers at fault; nothing where all have as many."""
    found: dict[int, set[str]] = {}
    for task in tasks:
        found.setdefault(len(families.get(task, ())), set()).add(task)
    return {f"{count} families": found[count] for count in sorted(found)} if len(found) > 1 else {}


def by_family(families: Mapping[str, Sequence[str]], tasks: Iterable[str]) -> dict[str, set[str]]:
    """Tasks by family; one with two families is in both."""
    found: dict[str, set[str]] = {}
    for task in tasks:
        for family in families.get(task, ()):
            found.setdefault(family, set()).add(task)
    return dict(sorted(found.items()))


def _only(values: Values, tasks: set[str]) -> dict[str, Sequence[float | None]]:
    return {task: repeats for task, repeats in values.items() if task in tasks}


def _lines(axes: Axes, found: Sequence[tuple[str, float, Cell]], xlabel: str) -> None:
    """A line per series, moved a little aside so that intervals do not hide each other."""
    places = sorted({x for _, x, _ in found})
    room = min((b - a for a, b in itertools.pairwise(places)), default=1.0) * 0.06
    names = list(dict.fromkeys(name for name, _, _ in found))
    for number, name in enumerate(names):
        colour, aside = COLOURS[number % len(COLOURS)], (number - (len(names) - 1) / 2) * room
        series = sorted(((x + aside, cell) for other, x, cell in found if other == name), key=lambda one: one[0])
        for x, cell in series:
            if cell.lo is not None and cell.hi is not None:
                axes.plot([x, x], [cell.lo * 100, cell.hi * 100], color=colour, linewidth=1, alpha=0.5)
        heights = [(cell.effect or 0.0) * 100 for _, cell in series]
        axes.plot([x for x, _ in series], heights, marker="o", color=colour, markersize=4, label=name)
    axes.axhline(0, color="#333333", linewidth=0.8)
    axes.set(xlabel=xlabel, ylabel="effect in points")
    axes.set_xticks(places)
    axes.legend(fontsize=8)


def _rows(axes: Axes, cells: Sequence[Cell]) -> None:
    for height, cell in enumerate(reversed(cells)):
        if cell.lo is not None and cell.hi is not None:
            axes.plot([cell.lo * 100, cell.hi * 100], [height, height], color=COLOURS[0], linewidth=1.2, alpha=0.6)
        axes.plot([(cell.effect or 0.0) * 100], [height], marker="o", color=COLOURS[0], markersize=4)
    axes.axvline(0, color="#333333", linewidth=0.8)
    axes.set_yticks(range(len(cells)), [f"{cell.label} (n={cell.n})" for cell in reversed(cells)], fontsize=8)
    axes.set(xlabel="effect in points")
