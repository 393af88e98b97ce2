"""The picture of a stream: score by run of every arm, and what the learner is ahead by, run by run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from optimizers.gate.slope import Slope

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURE: Final = "slope.png"
LOOKS: Final[Mapping[str, tuple[str, str]]] = {
    "learned": ("o", "#1f5fbf"),
    "frozen": ("s", "#6e6e6e"),
    "null": ("^", "#b8a13a"),
    "final": ("D", "#c4661f"),
}
"""Arm -> marker and colour."""
COLUMNS: Final = 3
SHIFT: Final = 0.09
"""Between two arms at one run, so that their intervals can be told apart."""


class Point(NamedTuple):
    """One arm on one run: mean over tasks and its 95 % interval; None: not known."""

    arm: str
    objective: str
    run: int
    mean: float | None
    lo: float | None
    hi: float | None


def draw_slope(path: Path, points: Sequence[Point], slopes: Sequence[Slope], *, title: str) -> None:
    """Write one PNG: a panel of scores by run for each objective, then the differences on the first objective.

    `slopes`: of the first objective, one for each arm that is compared with the frozen one.
    """
    from matplotlib.figure import Figure

    objectives = list(dict.fromkeys(point.objective for point in points))
    rows = -(-(len(objectives) + 1) // COLUMNS)
    figure = Figure(figsize=(4.8 * COLUMNS, 3.7 * rows + 0.5), layout="constrained")
    places = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    for axes, objective in zip(places, objectives, strict=False):
        _scores(axes, [point for point in points if point.objective == objective], objective)
    _differences(places[len(objectives)], slopes)
    for axes in places[len(objectives) + 1 :]:
        axes.axis("off")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, wrap=True)
    figure.savefig(path, dpi=110)


def _scores(axes: Axes, points: Sequence[Point], objective: str) -> None:
    arms = list(dict.fromkeys(point.arm for point in points))
    for place, arm in enumerate(arms):
        marker, colour = LOOKS.get(arm, ("x", "#7a3fa0"))
        shift = SHIFT * (place - (len(arms) - 1) / 2)
        xs: list[float] = []
        ys: list[float] = []
        for point in (one for one in points if one.arm == arm and one.mean is not None):
            xs.append(point.run + shift)
            ys.append(point.mean or 0.0)
            if point.lo is not None and point.hi is not None:
                axes.plot([xs[-1]] * 2, [point.lo, point.hi], color=colour, alpha=0.35, linewidth=1.2)
        style = "" if arm == "final" else "-"
        axes.plot(xs, ys, marker=marker, linestyle=style, color=colour, markersize=5, linewidth=1.1, label=arm)
    axes.set_ylabel(f"{objective} (1 is best)")
    axes.set_title(f"{objective}: mean and 95 % interval over tasks", loc="left", fontsize=9)
    _finish(axes)


def _differences(axes: Axes, slopes: Sequence[Slope]) -> None:
    axes.axhline(0.0, color="#444444", linewidth=0.8)
    for slope in slopes:
        marker, colour = LOOKS.get(slope.arm, ("x", "#7a3fa0"))
        known = [(run, mean) for run, mean in enumerate(slope.means, 1) if mean is not None]
        xs, ys = [run for run, _ in known], [mean for _, mean in known]
        label = slope.arm if slope.slope is None else f"{slope.arm}: {100 * slope.slope:+.2f} points a run"
        axes.plot(xs, ys, marker=marker, linestyle="", color=colour, markersize=5, label=label)
        if slope.slope is not None:
            centre, middle = sum(xs) / len(xs), sum(ys) / len(ys)
            axes.plot(xs, [middle + slope.slope * (x - centre) for x in xs], color=colour, linewidth=1.3, alpha=0.8)
    if slopes:
        axes.set_ylabel(f"{slopes[0].objective}: arm - {slopes[0].control}")
    axes.set_title("ahead of the frozen controller, by run", loc="left", fontsize=9)
    _finish(axes)


def _finish(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("run")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.2)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, framealpha=0.9)
