"""The smallest gepa run on the planted world that has everything in it, as a config and as arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from experiments.search_config import SearchConfig

SMALL: Final[dict[str, JsonValue]] = {
    "benchmark": "tests.worlds.planted:PlantedBenchmark",
    "train": 4,
    "val": 4,
    "recorded_val": 2,
    "dev": 6,
    "generations": 2,
    "iterations": 2,
    "minibatch": 4,
    "turns": 3,
    "attempts": 2,
    "roots": 2,
    "max_attempts": 60,
    "tracking": False,
}
NAME: Final = "tests.worlds.planted.PlantedBenchmark-gepa-s0-1"
"""The run folder of the first such run below its root."""


def small(root: Path, **changed: JsonValue) -> SearchConfig:
    """The config, with its files below `root`."""
    return SearchConfig.model_validate({**SMALL, "root": str(root), **changed})


def arguments(**changed: JsonValue) -> list[str]:
    """The same as overrides for the command line; text goes as it stands."""

    values = {**SMALL, **changed}
    return [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items()]
