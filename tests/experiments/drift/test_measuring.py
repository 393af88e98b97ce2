"""One look: a report and a picture in a folder of their own, and what cannot be looked at is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from experiments.drift.config import DriftConfig
from experiments.drift.measured import DriftReport
from experiments.drift.measuring import PICTURE, REPORT, measure
from signatures.errors import StoreError, UsageError
from tests.worlds.drifting import WORLD as PLANTED
from tests.worlds.drifting import played, shipped
from tests.worlds.shipped import BENCHMARK, ship


def config(root: Path, **changed: object) -> DriftConfig:
    given = {"root": str(root), "release": str(root / "release"), "benchmark": BENCHMARK}
    return DriftConfig.model_validate({**given, **changed})


async def test_every_look_leaves_a_folder(tmp_path: Path) -> None:
    given = await shipped(tmp_path, tasks=12)
    await played(given, PLANTED.tasks("production")[:8])
    first, second = await measure(config(tmp_path)), await measure(config(tmp_path))
    assert [one.folder.name for one in (first, second)] == ["planted-drift-1", "planted-drift-2"]
    assert first.report == second.report
    assert DriftReport.model_validate_json((first.folder / REPORT).read_bytes()) == first.report
    assert (first.folder / PICTURE).is_file()


def test_what_cannot_be_looked_at_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="release"):
        asyncio.run(measure(config(tmp_path)))
    ship(tmp_path / "release")
    with pytest.raises(UsageError, match="no such corpus"):
        asyncio.run(measure(config(tmp_path)))
    with pytest.raises(UsageError, match="name"):
        asyncio.run(measure(config(tmp_path, name="another")))
    assert list(tmp_path.glob("*-drift-*")) == []


async def test_a_release_of_another_benchmark_is_refused(tmp_path: Path) -> None:
    ship(tmp_path / "release", benchmark="other")
    with pytest.raises(UsageError, match="was made for other, not planted"):
        await measure(config(tmp_path))
