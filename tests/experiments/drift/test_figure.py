"""The picture: drawn for a report with everything and for one with nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.drift.figure import SHOWN, block_means, draw_drift, shown_features
from experiments.drift.measured import DriftReport
from optimizers.drift.fallen import Success, success_drift
from optimizers.drift.records import FeatureDrift, Limits
from signatures.release import Level


def feature(name: str, psi: float | None, *, alarm: bool = False) -> FeatureDrift:
    ends = (None, None) if psi is None else (psi - 0.1, psi + 0.1)
    return FeatureDrift(feature=name, reference_n=9, n=9, psi=psi, lo=ends[0], hi=ends[1], p=1.0, alarm=alarm)


def report(features: tuple[FeatureDrift, ...], successes: list[Success], levels: dict[str, Level]) -> DriftReport:
    success = success_drift(levels, successes)
    return DriftReport(
        name="planted",
        release="r",
        candidate="c",
        limits=Limits(),
        episodes=len(successes),
        failed=0,
        unreadable=0,
        features=features,
        success=success,
        alarm=any(one.alarm for one in features) or (success is not None and success.alarm),
        sentence="",
    )


def test_alarms_come_first_and_what_has_no_index_is_not_drawn() -> None:
    found = report((feature("a", 0.1), feature("b", None), feature("c", 0.05, alarm=True), feature("d", 0.2)), [], {})
    assert [one.feature for one in shown_features(found)] == ["c", "d", "a"]
    many = report(tuple(feature(f"f{n}", n / 100) for n in range(40)), [], {})
    assert len(shown_features(many)) == SHOWN


def test_blocks_leave_out_what_was_not_measured() -> None:
    values = [1.0, 0.0, None, 1.0, 1.0, None]
    assert block_means([(value, 1.0) for value in values], 2) == [(1.0, 0.5), (3.0, 1.0), (5.0, 1.0)]
    assert block_means([(None, 1.0)], 4) == []


def test_what_exploration_took_elsewhere_is_not_in_the_means() -> None:
    assert block_means([(1.0, 2.0), (0.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.0, 0.0)], 3) == [(1.5, 2 / 3)]


@pytest.mark.parametrize("n", [0, 90])
def test_a_png_is_written(tmp_path: Path, n: int) -> None:
    successes = [Success(f"t{i}", {"correct": float(i % 2), "fast": None}) for i in range(n)]
    levels = {"correct": Level(mean=0.9, n=80), "fast": Level(mean=0.5, n=80)} if n else {}
    found = report((feature("errors", 0.3, alarm=True), feature("gone", None)) if n else (), successes, levels)
    draw_drift(tmp_path / "drift.png", found, successes)
    assert (tmp_path / "drift.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "drift.png").stat().st_size > 5_000
