"""The picture: a PNG of its size, whatever the rows lack; and names that stand apart."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.search.figure import ROOM, draw_search, points_of, spread
from experiments.search.report import Row
from optimizers.intervals import Interval

AXES = ("cheap", "correct")
VOLUMES = {"gepa": [0.1, 0.2, 0.25], "random search": [0.1, 0.12, 0.13]}


def interval(mean: float | None, *, width: float | None = 0.05) -> Interval:
    if mean is None or width is None:
        return Interval(mean=mean, lo=None, hi=None, n=0 if mean is None else 1, missing=1)
    return Interval(mean=mean, lo=mean - width, hi=mean + width, n=9, missing=0, method="bootstrap")


def row(name: str, role: str, cheap: Interval, correct: Interval) -> Row:
    values = {"cheap": cheap, "correct": correct}
    return Row(name=name, role=role, n=9, attempts=1, turns=1, tokens=None, usd=None, missing=0, values=values)


def many() -> list[Row]:
    arms = ["random@3", "continue@3", "placebo@3", "refine@3/rule", "long@1"]
    rows = [row(name, "arm", interval(0.4), interval(0.1 * n)) for n, name in enumerate(arms)]
    rows.append(row("random search", "random search", interval(0.5), interval(0.5)))
    return [*rows, *(row(f"g{n:02}-c0", "front", interval(0.5 + n / 50), interval(0.5)) for n in range(12))]


def size_of(png: Path) -> tuple[int, int]:
    data = png.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.rstrip().endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", data[16:24])
    return int(width), int(height)


def test_five_arms_and_twelve_members_make_a_wide_picture(tmp_path: Path) -> None:
    draw_search(tmp_path / "front.png", many(), VOLUMES, AXES)
    width, height = size_of(tmp_path / "front.png")
    assert width > 2 * height > 800


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_search(tmp_path / name, many()[:3], VOLUMES, AXES)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row("lost", "arm", interval(None), interval(None))],
        [row("half", "front", interval(0.5), interval(None)), row("a", "arm", interval(0.4), interval(0.2))],
        [row("one task", "front", interval(0.5, width=None), interval(1.0, width=None))],
    ],
)
def test_what_was_not_measured_does_not_stop_the_picture(tmp_path: Path, rows: list[Row]) -> None:
    draw_search(tmp_path / "front.png", rows, {}, AXES)
    assert size_of(tmp_path / "front.png")[0] > 0


def test_only_rows_with_both_values_are_points() -> None:
    rows = [row("half", "front", interval(0.5), interval(None)), row("a", "arm", interval(0.4), interval(0.2))]
    assert [(point.row.name, point.x, point.y) for point in points_of(rows, AXES)] == [("a", 0.4, 0.2)]


@given(st.lists(st.floats(0, 1), max_size=18))
def test_names_stand_apart_in_the_order_of_their_points(heights: list[float]) -> None:
    heights.sort()
    placed = spread(heights, ROOM)
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in placed)
    assert all(b - a >= ROOM - 1e-9 for a, b in pairwise(placed))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=18, unique_by=lambda x: round(x * 5)))
def test_names_that_stand_apart_already_are_not_moved(heights: list[float]) -> None:
    apart = [round(height * 5) / 5 for height in heights]
    assert spread(apart, ROOM) == pytest.approx(apart)


def test_more_names_than_fit_stand_evenly() -> None:
    assert spread([0.5] * 5, 0.4) == pytest.approx([0, 0.25, 0.5, 0.75, 1])
