"""The picture of a run: the front in two objectives, and hypervolume by generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from experiments.search.report import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKS: Final = {"arm": ("s", "#6e6e6e"), "front": ("o", "#1f5fbf"), "random search": ("^", "#c4661f")}
"""Role -> marker and colour."""
MAIN: Final = "front"
"""The role whose look the curve of the run's engine has; other searches are roles themselves."""
ROOM: Final = 0.047
"""Least distance of two labels, as a share of the height of the axes."""


class Point(NamedTuple):
    """A row as it is drawn."""

    row: Row
    x: float
    y: float


def draw_search(
    path: Path,
    rows: Sequence[Row],
    volumes: Mapping[str, Sequence[float]],
    axes: tuple[str, str],
    *,
    of: str = "dev split",
) -> None:
    """Write one PNG: values of all rows on `of`, on `axes` (x, y) with intervals, and hypervolume per search.

    A row without a value on either axis is not drawn; its name is listed below the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    points = points_of(rows, axes)
    _scatter(left, points, axes)
    left.set_title(f"{of}: mean and 95 % interval over tasks", loc="left", fontsize=10)
    _label(left, points)
    _curves(right, volumes)
    drawn = {point.row.name for point in points}
    if absent := [row.name for row in rows if row.name not in drawn]:
        figure.supxlabel(f"no value, not drawn: {', '.join(absent)}", fontsize=8)
    figure.savefig(path, dpi=120)


def points_of(rows: Sequence[Row], axes: tuple[str, str]) -> list[Point]:
    """The rows that have a mean on both axes."""
    means = [(row, row.values[axes[0]].mean, row.values[axes[1]].mean) for row in rows]
    return [Point(row, x, y) for row, x, y in means if x is not None and y is not None]


def spread(heights: Sequence[float], room: float) -> list[float]:
    """`heights` moved as little as needed, their order kept, to stand `room` apart within [0, 1].

    Where that many do not fit they stand evenly.
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    room = min(room, 1 / max(1, len(heights) - 1))
    placed = [0.0] * len(heights)
    floor = 0.0
    for i in order:
        placed[i] = max(floor, heights[i])
        floor = placed[i] + room
    ceiling = 1.0
    for i in reversed(order):
        placed[i] = min(ceiling, placed[i])
        ceiling = placed[i] - room
    return placed


def _scatter(ax: Axes, points: Sequence[Point], axes: tuple[str, str]) -> None:
    for role, (marker, colour) in LOOKS.items():
        chosen = [point for point in points if point.row.role == role]
        for row, x, y in chosen:
            for name, vertical in zip(axes, (False, True), strict=True):
                lo, hi = row.values[name].lo, row.values[name].hi
                if lo is not None and hi is not None:
                    ends = ([x, x], [lo, hi]) if vertical else ([lo, hi], [y, y])
                    ax.plot(*ends, color=colour, linewidth=1, alpha=0.3, zorder=1)
        if chosen:
            xs, ys = [point.x for point in chosen], [point.y for point in chosen]
            ax.scatter(xs, ys, s=38, marker=marker, color=colour, edgecolors="white", label=role, zorder=3)
    ax.set(xlabel=f"{axes[0]} (1 is best)", ylabel=f"{axes[1]} (1 is best)")
    ax.grid(alpha=0.2)
    if points:
        ax.legend(fontsize=8, loc="upper left", framealpha=0.9)


def _label(ax: Axes, points: Sequence[Point]) -> None:
    """Names with a line to their point: points overlap, names must not. Only arms are named inside the axes."""
    left, right = ax.get_xlim()
    ax.set_xlim(left - 0.2 * (right - left), right)  # room for the names of arms
    for column in (False, True):
        some = [point for point in points if column == (point.row.role != "arm")]
        # Of points at one height the one further right is named lower, so that lines cross less.
        some.sort(key=lambda point: (point.y, -point.x))
        heights = spread([_share(ax, point)[1] for point in some], ROOM)
        for point, height in zip(some, heights, strict=True):
            _name(ax, point, (1.05, height) if column else (_share(ax, point)[0] - 0.03, height))


def _share(ax: Axes, point: Point) -> tuple[float, float]:
    """Where a point is, as shares of the width and height of the axes."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    return (point.x - left) / (right - left), (point.y - bottom) / (top - bottom)


def _name(ax: Axes, point: Point, place: tuple[float, float]) -> None:
    colour = LOOKS[point.row.role][1]
    line = {"arrowstyle": "-", "color": colour, "alpha": 0.4, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 3}
    ax.annotate(
        point.row.name,
        (point.x, point.y),
        xytext=place,
        textcoords="axes fraction",
        fontsize=8,
        color=colour,
        ha="right" if point.row.role == "arm" else "left",
        va="center",
        annotation_clip=False,
        arrowprops=line,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.7},
        zorder=2,
    )


def _curves(ax: Axes, volumes: Mapping[str, Sequence[float]]) -> None:
    from matplotlib.ticker import MaxNLocator

    for name, series in volumes.items():
        marker, colour = LOOKS.get(name, LOOKS[MAIN])
        ax.plot(range(len(series)), series, marker=marker, color=colour, label=name, markersize=5)
    ax.set(xlabel="generation", ylabel="hypervolume of the front")
    ax.set_title("search split: telemetry, not evidence", loc="left", fontsize=10)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.2)
    if volumes:
        ax.legend(fontsize=8, loc="lower right", framealpha=0.9)
