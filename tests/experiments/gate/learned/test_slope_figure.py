"""The picture of a stream: written for whole and for holey data, a mark for each arm that has a value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments.gate.learned import slope_figure
from experiments.gate.learned.slope_figure import Point, draw_slope
from optimizers.gate.slope import Course, slope_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def points() -> list[Point]:
    found = [
        Point(arm, objective, run, 0.4 + run / 10, 0.3, None if run == 2 else 0.9)
        for objective in ("correct", "cheap", "clean")
        for arm in ("learned", "frozen", "final")
        for run in (1, 2, 3)
    ]
    return [*found, Point("null", "correct", 1, None, None, None)]


def test_a_png_is_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    slopes = [slope_of(Course(arm, "frozen", "correct", tuple(rng.random((3, 4))))) for arm in ("learned", "null")]
    draw_slope(tmp_path / "slope.png", points(), slopes, title="a title")
    assert (tmp_path / "slope.png").read_bytes().startswith(SIGNATURE)


def test_without_a_slope_or_a_value_there_is_still_a_picture(tmp_path: Path) -> None:
    one = slope_of(Course("learned", "frozen", "correct", (np.array([0.1]), np.empty(0))))
    draw_slope(tmp_path / "a.png", [Point("learned", "correct", 1, None, None, None)], [one], title="")
    draw_slope(tmp_path / "b.png", [], [], title="")
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png"}


def test_what_has_no_value_is_not_drawn() -> None:
    axes = Figure().subplots()
    slope_figure._scores(axes, [point for point in points() if point.objective == "correct"], "correct")
    drawn = {
        line.get_label(): np.asarray(line.get_ydata()).tolist()
        for line in axes.lines
        if not str(line.get_label()).startswith("_")
    }
    assert drawn["learned"] == [0.5, 0.6000000000000001, 0.7]
    assert drawn["null"] == []
    intervals = [line for line in axes.lines if str(line.get_label()).startswith("_")]
    assert len(intervals) == 3 * 2  # the second run has no upper end
