"""Calibration from run logs: what was replayed and attempted, the line through it, and what is no run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.calibration.predicted import Point, calibration_of, points_of, runs_below
from experiments.events import CandidateScored, EventLog, SearchStarted
from experiments.search.confirmed import Confirmed, Pair
from signatures.errors import UsageError


def pair(offline: float | None, live: float | None, *, half: float | None = 0.1) -> Pair:
    known = offline is not None and half is not None
    return Pair(
        n=9,
        offline=offline,
        offline_lo=offline - half if known else None,  # type: ignore[operator]  # both are numbers where known
        offline_hi=offline + half if known else None,  # type: ignore[operator]
        live=live,
        live_lo=None,
        live_hi=None,
        gap_lo=-0.05,
        gap_hi=0.05,
    )


def point(offline: float, live: float, *, half: float | None = 0.1, objective: str = "correct") -> Point:
    return Point("run", "g01-c0", objective, pair(offline, live, half=half))


def confirmed(name: str, digest: str, **values: Pair) -> Confirmed:
    return Confirmed(
        name=name, search="gepa", digest=digest, tasks=9, replayed=9, unsupported=0.0, attempts=9, values=values
    )


def logged(folder: Path, *records: Confirmed) -> Path:
    folder.mkdir(parents=True)
    start = SearchStarted(
        run_id=folder.name, benchmark="b", engine="gepa", seed=0, config={}, objectives=("correct", "fast")
    )
    named = [CandidateScored(name=one.name, role="candidate", digest=one.digest) for one in records]
    with EventLog(folder) as log:
        for body in (start, *named, *records):
            log.emit(body)
    return folder


def test_each_candidate_counts_once_where_both_values_are_known(tmp_path: Path) -> None:
    run = logged(
        tmp_path / "a-1",
        confirmed("g01-c0", "d1", correct=pair(0.5, 0.6), fast=pair(0.2, 0.1)),
        confirmed("r01-c0", "d1", correct=pair(0.9, 0.9), fast=pair(0.9, 0.9)),
        confirmed("g02-c0", "d2", correct=pair(None, 0.6), fast=pair(0.3, None)),
    )
    found = points_of(run)
    assert [(one.candidate, one.objective, one.offline, one.live) for one in found] == [
        ("g01-c0", "correct", 0.5, 0.6),
        ("g01-c0", "fast", 0.2, 0.1),
    ]


def test_the_runs_of_a_root_are_found_and_what_is_none_is_said(tmp_path: Path) -> None:
    runs = [logged(tmp_path / name) for name in ("b-1", "a-1")]
    assert runs_below(tmp_path) == sorted(runs)
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match=r"other: no run folder"):
        points_of(tmp_path / "other")
    with pytest.raises(UsageError, match=r"holds no run folder"):
        runs_below(tmp_path / "other")


def test_a_line_of_known_slope_coverage_agreement_and_bias() -> None:
    points = [point(x, 0.5 * x + 0.1) for x in (0.0, 0.2, 0.4, 0.6)]
    found = calibration_of("correct", points)
    assert (found.slope, found.intercept) == (pytest.approx(0.5), pytest.approx(0.1))
    # off by .1, 0, .1 and .2 from intervals of half a width of .1, edges included up to rounding
    assert found.coverage in (0.5, 0.75)
    assert (found.n, found.intervals, found.agreement) == (4, 4, 1.0)
    assert found.bias == pytest.approx(0.05)


def test_too_little_gives_no_slope_and_no_coverage() -> None:
    assert calibration_of("correct", []).model_dump(exclude={"schema_version"}) == {
        "objective": "correct",
        "n": 0,
        "slope": None,
        "intercept": None,
        "coverage": None,
        "intervals": 0,
        "agreement": None,
        "bias": None,
    }
    assert calibration_of("correct", [point(0.5, 0.6)]).slope is None
    assert calibration_of("correct", [point(0.5, 0.6), point(0.5, 0.7)]).slope is None
    assert calibration_of("correct", [point(0.5, 0.6, half=None)]).coverage is None
    assert calibration_of("correct", [point(0.5, 0.6, objective="fast")]).n == 0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=20))
def test_the_line_goes_through_the_middle(values: list[tuple[float, float]]) -> None:
    found = calibration_of("correct", [point(x, y) for x, y in values])
    if found.slope is not None and found.intercept is not None:
        middle = sum(x for x, _ in values) / len(values)
        assert found.intercept + found.slope * middle == pytest.approx(sum(y for _, y in values) / len(values))
