"""The projection of a meta run, and what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

from controllers.corpus import SqliteCorpus
from experiments.gate.run_folder import claim_folder
from experiments.meta.config import MetaConfig, search_config
from experiments.meta.meta_job import SETTINGS_FILE, projection, run_meta
from experiments.meta.tuned import read_settings
from experiments.wiring import ready
from signatures.records import Attempt

SMALL = {
    "benchmark": "tests.worlds.planted:PlantedBenchmark",
    "attempts": 2,
    "turns": 3,
    "pool": 9,
    "train": 2,
    "val": 3,
    "held": 4,
    "problems": 2,
    "compute": 24,
    "candidates": 1,
    "engines": ["gepa_search", "random_search"],
    "minibatches": [2],
    "confirm": 2,
    "dev": 3,
    "tracking": False,
}


def small(root: Path) -> MetaConfig:
    """The config as it is read from a file: lists are tuples."""
    return MetaConfig.model_validate_json(json.dumps({**SMALL, "root": str(root)}))


def test_the_projection_is_an_upper_bound_of_each_stage(tmp_path: Path) -> None:
    config = small(tmp_path)
    cost = projection(config, ready(search_config(config, tmp_path / "c.db"), root=tmp_path))
    assert cost.confirm == 2 * 3 * (1 + 3 * 2) and cost.replayed == (2 * 2 + 2 * 2) * 24
    assert cost.total == cost.record + cost.live_search + cost.confirm
    assert f"at most {cost.total} live attempts" in cost.said()


async def test_a_run_confirms_on_other_tasks_and_stays_within_its_projection(tmp_path: Path) -> None:
    config = small(tmp_path)
    given = ready(search_config(config, tmp_path / "c.db"), root=tmp_path)
    folder, said = claim_folder(config, tmp_path, "meta"), list[str]()
    report = await run_meta(config, given, folder, said.append)
    assert read_settings(folder / SETTINGS_FILE).model_dump(mode="json") == report.data["settings"]
    pools = [json.loads((folder / f"trees-{name}" / "trees.json").read_text()) for name in ("tune", "confirm")]
    tuned, confirmed = (set(pool["repeats"]) for pool in pools)
    assert len(tuned) == len(confirmed) == 9 and not tuned & confirmed
    corpus = SqliteCorpus(folder / "corpus.db")
    made = [attempt async for attempt in corpus.scan(Attempt)]
    await _closed(corpus)
    assert len(made) <= projection(config, given).total
    searches = SqliteCorpus(folder / "tuning" / "corpus.db")
    attempts = [attempt async for attempt in searches.scan(Attempt)]
    await _closed(searches)
    assert {attempt.worker.name for attempt in attempts} == {"search"}, "an attempt of level two is a search"
    assert "live attempts" in said[0]


async def _closed(corpus: SqliteCorpus) -> None:
    corpus.close()
