"""The smallest collecting run on the planted world that has everything in it, as a config and as arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from experiments.collect.config import CollectConfig

SMALL: Final[dict[str, JsonValue]] = {
    "benchmark": "tests.worlds.planted:PlantedBenchmark",
    "tasks": 3,
    "episodes_per_task": 2,
    "turns": 3,
    "roots": 2,
    "depth": 2,
}
MOST: Final = 3 * 2 * 3 + 3 * 2 * (1 + 5)
"""Attempts that it can take: episodes of three attempts, and trees of two roots with five children each."""


def small_collect(root: Path, **changed: JsonValue) -> CollectConfig:
    """The config, with its files below `root`."""
    return CollectConfig.model_validate({**SMALL, "root": str(root), **changed})


def collect_arguments(**changed: JsonValue) -> list[str]:
    """The same as overrides for the command line; text goes as it stands."""
    values = {**SMALL, **changed}
    return [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items()]
