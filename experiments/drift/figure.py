"""The picture of drift: the features' stability indices, and success by the checkers over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Final

from experiments.drift.measured import DriftReport
from optimizers.drift.fallen import Success
from optimizers.drift.records import FeatureDrift, ObjectiveDrift

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUIET: Final = "#1f5fbf"
ALARM: Final = "#c4661f"
LEVEL: Final = "#1b7f5c"
SHOWN: Final = 24
"""Features in the picture: those that alarm, then those with the largest index."""
MOST_PANELS: Final = 6
Point = tuple[float | None, float]
"""A value, None where it was not measured, and the weight of its episode: the means are those without exploration."""


def draw_drift(path: Path, report: DriftReport, successes: Sequence[Success]) -> None:
    """Write one PNG. What has no value yet is not drawn."""
    from matplotlib.figure import Figure

    objectives = () if report.success is None else report.success.objectives[:MOST_PANELS]
    features = shown_features(report)
    height = max(3.2, 0.9 + 0.26 * len(features), 1.9 * len(objectives))
    figure = Figure(figsize=(13, height), layout="constrained")
    halves = figure.add_gridspec(1, 2)
    _features(figure.add_subplot(halves[0]), features, report)
    rows = halves[1].subgridspec(max(1, len(objectives)), 1)
    panels = [figure.add_subplot(rows[number]) for number in range(max(1, len(objectives)))]
    for axes, one in zip(panels, objectives, strict=False):
        _objective(axes, one, successes, window=report.limits.window)
    if objectives:
        alone = "; means without what exploration changed" if report.success and report.success.explored else ""
        panels[-1].set_xlabel(f"production episodes in order of arrival{alone}")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=4, frameon=False)
    else:
        panels[0].axis("off")
        panels[0].text(0.5, 0.5, "no success at a gate to compare with", ha="center")
    said = "drift" if report.alarm else "no drift shown"
    figure.suptitle(f"{report.name}: {said} in {report.episodes:,} production episodes", x=0.01, ha="left", fontsize=11)
    figure.savefig(path, dpi=110)


def shown_features(report: DriftReport) -> list[FeatureDrift]:
    """The features that are drawn, the most drifted first."""
    known = [one for one in report.features if one.psi is not None]
    return sorted(known, key=lambda one: (not one.alarm, -(one.psi or 0.0)))[:SHOWN]


def block_means(points: Sequence[Point], window: int) -> list[tuple[float, float]]:
    """The middle and the weighted mean of each stretch of `window` episodes, the last one as long as it is."""
    found: list[tuple[float, float]] = []
    for first in range(0, len(points), window):
        some = points[first : first + window]
        known = [(value, weight) for value, weight in some if value is not None]
        if total := sum(weight for _, weight in known):
            found.append((first + len(some) / 2, sum(value * weight for value, weight in known) / total))
    return found


def _features(axes: Axes, features: Sequence[FeatureDrift], report: DriftReport) -> None:
    for place, one in enumerate(reversed(features)):
        colour, marker = (ALARM, "D") if one.alarm else (QUIET, "o")
        if one.lo is not None and one.hi is not None:
            axes.plot([one.lo, one.hi], [place, place], color=colour, alpha=0.4, linewidth=1.4, zorder=2)
        axes.scatter([one.psi or 0.0], [place], s=34, color=colour, marker=marker, edgecolors="white", zorder=3)
    axes.axvline(0, color="#888888", linewidth=1, zorder=1)
    axes.axvline(report.limits.least_psi, color="#888888", linewidth=1, linestyle="--", zorder=1)
    axes.set_yticks(range(len(features)), [one.feature for one in reversed(features)], fontsize=8)
    axes.set_xlabel("population stability index less its bias, 95 % interval over tasks")
    left_out = len(report.features) - len(features)
    more = f" ({left_out} more not drawn)" if left_out else ""
    axes.set_title(f"features after one fresh attempt{more}; diamond: alarm", loc="left", fontsize=9)
    axes.grid(alpha=0.2, axis="x")


def _objective(axes: Axes, one: ObjectiveDrift, successes: Sequence[Success], *, window: int) -> None:
    from matplotlib.ticker import MaxNLocator

    points = [(success.values.get(one.objective), success.weight) for success in successes]
    means = block_means(points, window)
    colour = ALARM if one.alarm else QUIET
    middles, heights = [middle for middle, _ in means], [mean for _, mean in means]
    axes.plot(middles, heights, marker="o", markersize=4, color=colour, label=f"mean of {window}")
    running = _running(points)
    if running:
        axes.plot(*zip(*running, strict=True), color=colour, alpha=0.45, linewidth=1.4, label="mean so far")
    axes.axhline(one.reference.mean, color=LEVEL, linewidth=1.4, label="at the gate")
    if one.floor > 0:
        axes.axhline(one.floor, color="#888888", linewidth=1, linestyle="--", label="alarm if shown below")
    if one.since is not None:
        axes.axvline(one.since, color=ALARM, linewidth=1, linestyle=":")
    axes.set(ylim=(-0.03, 1.03))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(one.objective, fontsize=9)
    axes.set_title(f"e-value {one.e_value:.3g} of {one.needed:.0f} needed", loc="left", fontsize=8)
    axes.grid(alpha=0.2)


def _running(points: Sequence[Point]) -> list[tuple[int, float]]:
    """Each episode and the weighted mean of all values so far, from the first with a weight on."""
    sums = accumulate((value or 0.0) * weight for value, weight in points)
    totals = accumulate(0.0 if value is None else weight for value, weight in points)
    each = enumerate(zip(sums, totals, strict=True), 1)
    return [(number, sum_ / total) for number, (sum_, total) in each if total]
