from __future__ import annotations

from pathlib import Path

import pytest

from experiments.skill.material import material_of
from signatures.errors import NoSupport, StoreError, UsageError
from tests.worlds.skilled import grow, skill_config


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """The root of a corpus of one task."""
    return grow(tmp_path / "few", tasks=1)


async def test_questions_are_split_by_the_benchmarks_families(grown: Path) -> None:
    found = await material_of(skill_config(grown, policies=["steer", "topology"]))
    assert (found.worker, found.trees) == ("planted", 48)
    steer = found.splits["steer"]
    families = found.benchmark.families("search")
    learned = {name for one in (*steer.demos, *steer.calibration) for name in families[one.task]}
    asked = {name for one in steer.test for name in families[one.task]}
    assert asked and learned and not asked & learned and asked <= set(steer.held_out)
    assert found.mined["steer"] >= len(steer.test) + len(steer.calibration) + len(steer.demos)
    assert "topology" in found.lacking and "topology" not in found.splits


async def test_the_same_record_gives_the_same_questions(grown: Path) -> None:
    first, second = [await material_of(skill_config(grown)) for _ in range(2)]
    assert first.splits == second.splits


async def test_without_trees_or_questions_there_is_no_support(grown: Path, few: Path, tmp_path: Path) -> None:
    with pytest.raises(NoSupport, match="steer: "):
        await material_of(skill_config(few))
    with pytest.raises(NoSupport, match="no recorded decision"):
        await material_of(skill_config(grown, margin=1.0))
    with pytest.raises((UsageError, StoreError)):
        await material_of(skill_config(grown, corpus=str(tmp_path / "none.db")))
