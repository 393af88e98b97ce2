"""The picture of calibration: predicted against realised, a panel per objective."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from experiments.calibration.predicted import Calibration, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INSIDE: Final = "#1f5fbf"
OUTSIDE: Final = "#c4661f"
LINE: Final = "#1b7f5c"
COLUMNS: Final = 3
SHARED: Final = (
    "Candidates of a run share tasks, recorded\nattempts and live seeds: n points are\nfewer than n experiments."
)


def draw_calibration(path: Path, points: Sequence[Point], found: Sequence[Calibration], *, title: str) -> None:
    """Write one PNG: each candidate's live mean over its offline estimate, both with their 95 % intervals."""
    from matplotlib.figure import Figure

    rows = -(-(len(found) + 1) // COLUMNS)  # the legend has a place of its own
    figure = Figure(figsize=(4.4 * COLUMNS, 4.2 * rows + 0.4), layout="constrained")
    places = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    for axes, one in zip(places, found, strict=False):
        _panel(axes, [point for point in points if point.objective == one.objective], one)
    _legend(places[len(found)])
    for axes in places[len(found) + 1 :]:
        axes.axis("off")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    figure.savefig(path, dpi=110)


def _panel(axes: Axes, points: Sequence[Point], found: Calibration) -> None:
    from matplotlib.ticker import MaxNLocator

    low, high = _limits(points)
    axes.plot([low, high], [low, high], linestyle="--", color="#888888", linewidth=1, zorder=1)
    if found.slope is not None and found.intercept is not None:
        ends = [min(point.offline for point in points), max(point.offline for point in points)]
        axes.plot(ends, [found.intercept + found.slope * x for x in ends], color=LINE, linewidth=1.6, zorder=2)
    for point in points:
        colour, marker = (OUTSIDE, "D") if point.pair.covered is False else (INSIDE, "o")
        pair, x, y = point.pair, point.offline, point.live
        for lo, hi, flat in ((pair.offline_lo, pair.offline_hi, True), (pair.live_lo, pair.live_hi, False)):
            if lo is not None and hi is not None:
                axes.plot(*(([lo, hi], [y, y]) if flat else ([x, x], [lo, hi])), color=colour, alpha=0.3, linewidth=1)
        axes.scatter([x], [y], s=34, marker=marker, color=colour, edgecolors="white", linewidths=0.6, zorder=3)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("predicted: replay of the record")
    axes.set_ylabel("realised: live, fresh seeds")
    axes.set_title(f"{found.objective}\n{said(found)}", loc="left", fontsize=8)
    axes.grid(alpha=0.2)


def said(found: Calibration) -> str:
    """The numbers of a panel in one line."""
    slope = "no slope" if found.slope is None else f"slope {found.slope:.2f}"
    inside = "no interval" if found.coverage is None else f"{found.coverage:.0%} of {found.intervals} covered"
    agree = "" if found.agreement is None else f", {found.agreement:.0%} agree"
    bias = "" if found.bias is None else f", bias {found.bias:+.3f}"
    return f"n = {found.n}, {slope}, {inside}{agree}{bias}"


def _limits(points: Sequence[Point]) -> tuple[float, float]:
    """One range for both axes, with all intervals in it and some room."""
    pairs = [point.pair for point in points]
    ends = [
        value
        for pair in pairs
        for value in (pair.offline, pair.offline_lo, pair.offline_hi, pair.live, pair.live_lo, pair.live_hi)
        if value is not None
    ]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = max(0.02, 0.06 * (high - low))
    return low - room, high + room


def _legend(axes: Axes) -> None:
    from matplotlib.lines import Line2D

    axes.axis("off")
    axes.legend(
        handles=[
            Line2D([], [], marker="o", linestyle="", color=INSIDE, label="live mean inside the offline interval"),
            Line2D([], [], marker="D", linestyle="", color=OUTSIDE, label="live mean outside"),
            Line2D([], [], color=INSIDE, alpha=0.4, label="95 % intervals over tasks"),
            Line2D([], [], color=LINE, linewidth=1.6, label="least squares, with intercept"),
            Line2D([], [], color="#888888", linestyle="--", label="identity"),
        ],
        loc="center left",
        frameon=False,
        fontsize=9,
        title=SHARED,
        title_fontsize=9,
        alignment="left",
    )
