"""Predicted against realised: the confirmed candidates of finished runs, and how well replay foretold them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from experiments.events import FILE, SearchStarted, read_events
from experiments.search.confirmed import Confirmed, Pair
from signatures.errors import UsageError
from signatures.records import Finite, Probability, Record


class Point(NamedTuple):
    """One objective of one candidate that was both replayed and attempted live."""

    run: str
    candidate: str
    objective: str
    pair: Pair

    @property
    def offline(self) -> float:
        """What the record predicted."""
        assert self.pair.offline is not None
        return self.pair.offline

    @property
    def live(self) -> float:
        """What came live."""
        assert self.pair.live is not None
        return self.pair.live


class Calibration(Record):
    """How the live values of one objective lie about their predictions.

    The candidates of a run share their tasks, the recorded attempts and the seeds of the live ones: what one draw of
    these adds is common to all of them. So n points are fewer than n experiments, and of one run the slope says more
    than the coverage.
    """

    objective: str
    n: int = Field(ge=0)
    "candidates"
    slope: Finite | None
    "of live on offline, ordinary least squares with an intercept: 1 where differences come out as predicted"
    intercept: Finite | None
    coverage: Probability | None
    "share of live means inside the offline 95 % interval"
    intervals: int = Field(ge=0)
    "candidates with such an interval"
    agreement: Probability | None
    "share of candidates whose offline - live, paired by task, has 0 in its 95 % interval"
    bias: Finite | None
    "mean of offline - live: above 0 where the record flatters"


def runs_below(root: Path) -> list[Path]:
    """The run folders in `root`, by name. Raises UsageError where there is none."""
    found = sorted(path.parent for path in root.glob(f"*/{FILE}"))
    if not found:
        raise UsageError(f"{root}: holds no run folder; name another with --root, or the runs themselves")
    return found


def points_of(run: Path) -> list[Point]:
    """All that a run predicted and then saw, each candidate once. Raises UsageError for what is no run, StoreError."""
    if not (run / FILE).is_file():
        raise UsageError(f"{run}: no run folder, it has no {FILE}")
    first: dict[str, Confirmed] = {}
    objectives: tuple[str, ...] = ()
    for event in read_events(run / FILE):
        if isinstance(event.body, SearchStarted):
            objectives = event.body.objectives
        elif isinstance(event.body, Confirmed):
            first.setdefault(event.body.digest, event.body)
    return [
        Point(run.name, one.name, objective, pair)
        for one in first.values()
        for objective in objectives
        if (pair := one.values.get(objective)) is not None and None not in (pair.offline, pair.live)
    ]


def calibration_of(objective: str, points: Sequence[Point]) -> Calibration:
    """The calibration of one objective; no slope for fewer than two points, or predictions without any spread."""
    chosen = [point for point in points if point.objective == objective]
    covered = [inside for point in chosen if (inside := point.pair.covered) is not None]
    agreed = [agree for point in chosen if (agree := point.pair.agree) is not None]
    slope, intercept = _line(chosen)
    return Calibration(
        objective=objective,
        n=len(chosen),
        slope=slope,
        intercept=intercept,
        coverage=sum(covered) / len(covered) if covered else None,
        intervals=len(covered),
        agreement=sum(agreed) / len(agreed) if agreed else None,
        bias=sum(point.offline - point.live for point in chosen) / len(chosen) if chosen else None,
    )


def _line(points: Sequence[Point]) -> tuple[float | None, float | None]:
    """Slope and intercept of the least squares line."""
    if len(points) < 2:
        return None, None
    middle = sum(point.offline for point in points) / len(points)
    height = sum(point.live for point in points) / len(points)
    spread = sum((point.offline - middle) ** 2 for point in points)
    if spread < 1e-12:
        return None, None
    slope = sum((point.offline - middle) * (point.live - height) for point in points) / spread
    return slope, height - slope * middle
