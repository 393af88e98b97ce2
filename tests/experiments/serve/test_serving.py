from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.serve.config import ServeConfig
from experiments.serve.serving import serving
from signatures.errors import ReleaseRefused, StoreError, TillerError, UsageError
from tests.experiments.serve.conftest import Opening
from tests.worlds.harness import until
from tests.worlds.shipped import ship


async def test_a_release_that_may_not_be_loaded_ends_the_start_and_leaves_no_file(
    opening: Opening, tmp_path: Path
) -> None:
    ship(tmp_path / "release")
    (tmp_path / "release" / "state.json").write_text("{}")
    with pytest.raises(ReleaseRefused, match=r"state\.json"):
        async with opening():
            pass
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"benchmark": "nothing"}, UsageError),
        ({"release": "/nowhere"}, StoreError),
        ({"name": "another"}, ReleaseRefused),
        ({"root": __file__}, UsageError),
    ],
)
async def test_what_cannot_be_served_is_said_at_the_start(
    changed: dict[str, str], error: type[TillerError], configured: Callable[..., ServeConfig], tmp_path: Path
) -> None:
    ship(tmp_path / "release")
    with pytest.raises(error):
        async with serving(configured(**changed), lambda line: None):
            pass


async def test_a_release_for_another_benchmark_is_refused(opening: Opening, tmp_path: Path) -> None:
    ship(tmp_path / "release", benchmark="telecom")
    with pytest.raises(UsageError, match="made for telecom"):
        async with opening():
            pass


async def test_a_steer_that_there_is_not_here_is_refused(opening: Opening, tmp_path: Path) -> None:
    ship(tmp_path / "release", steer_legal=("none", "text"))
    with pytest.raises(UsageError, match="name its model with --lm"):
        async with opening():
            pass


async def test_a_bad_release_that_comes_later_changes_nothing_and_is_told_once(
    opening: Opening, tmp_path: Path, told: list[str]
) -> None:
    first = ship(tmp_path / "release")
    async with opening() as service:
        ship(tmp_path / "release", benchmark="telecom")
        await until(lambda: told)
        await asyncio.sleep(0.2)
        assert service.health().release == first.digest
        assert len([line for line in told if "telecom" in line]) == 1
        second = ship(tmp_path / "release", exploration=0.2)
        await until(lambda: service.health().release == second.digest)


async def test_a_source_that_is_down_is_a_worse_health_and_no_end(opening: Opening, tmp_path: Path) -> None:
    async with opening() as service:
        assert service.health().status == "ok"
        (tmp_path / "release").rename(tmp_path / "gone")
        await until(lambda: service.health().status == "degraded")
        assert "tiller_degraded 1.0" in service.meters.text().decode()
        good = service.health().release
        (tmp_path / "release").mkdir()
    async with opening() as service:  # started anew with the source down: from the cache
        assert service.health().release == good
