"""The picture of calibration: a PNG whatever the points lack, and the numbers of a panel in its title."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.calibration.figure import draw_calibration, said
from experiments.calibration.predicted import Point, calibration_of
from tests.experiments.calibration.test_predicted import point


@pytest.mark.parametrize(
    "points",
    [
        [],
        [point(0.5, 0.6)],
        [point(0.5, 0.5), point(0.5, 0.7)],
        [point(x / 9, x / 10, half=None if x == 4 else 0.01) for x in range(9)],
    ],
)
@pytest.mark.parametrize("panels", [1, 5])
def test_it_is_drawn_whatever_the_points_lack(tmp_path: Path, points: list[Point], panels: int) -> None:
    found = [calibration_of(name, points) for name in ("correct", "fast", "secure", "cheap", "clean")[:panels]]
    draw_calibration(tmp_path / "calibration.png", points, found, title="one run")
    data = (tmp_path / "calibration.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.rstrip().endswith(b"IEND\xaeB`\x82")


def test_the_panel_says_what_is_known_and_that_the_rest_is_not() -> None:
    points = [point(x, x + 0.02) for x in (0.1, 0.3, 0.6)]
    assert said(calibration_of("correct", points)) == "n = 3, slope 1.00, 100% of 3 covered, 100% agree, bias -0.020"
    assert said(calibration_of("correct", [])) == "n = 0, no slope, no interval"
