"""Settings tuned on recorded trees, or read from a file that a meta run wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.gate.learned.ablation_config import AblationConfig, search_config
from experiments.gate.learned.learning import recorded
from experiments.meta.tuned import read_settings, settings_for
from experiments.wiring import ready, wired
from optimizers.levels.settings import SearchSettings
from signatures.errors import UsageError

SMALL = {
    "benchmark": "tests.worlds.planted:PlantedBenchmark",
    "attempts": 2,
    "turns": 3,
    "train": 6,
    "generations": 2,
    "iterations": 2,
    "minibatch": 4,
    "tasks": 6,
    "problems": 2,
    "candidates": 2,
    "tracking": False,
}


async def test_settings_are_tuned_on_the_trees_and_the_same_again(tmp_path: Path) -> None:
    config = AblationConfig.model_validate({**SMALL, "root": str(tmp_path)})
    search, folder = search_config(config, tmp_path / "corpus.db"), tmp_path / "run"
    folder.mkdir()
    with wired(ready(search, root=tmp_path), folder) as parts:
        trees = await recorded(search, parts, folder / "trees", parts.splits.train[: config.train])
        found = await settings_for(config, parts, trees, folder)
        searches = sorted((folder / "tuning" / "searches").iterdir())
        assert await settings_for(config, parts, trees, folder) == found
        assert sorted((folder / "tuning" / "searches").iterdir()) == searches and searches
        given = tmp_path / "settings.json"
        given.write_text(json.dumps(SearchSettings(engine="random_search").model_dump(mode="json")))
        told = config.model_copy(update={"settings": str(given)})
        assert await settings_for(told, parts, trees, folder) == SearchSettings(engine="random_search")


@pytest.mark.parametrize("text", [None, "", "[]", '{"engine": 3}', '{"motor": "x"}'])
def test_a_file_without_settings_is_one_line(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=r"settings\.json: holds no settings of a search"):
        read_settings(path)
