"""The planted world with trees recorded for skill questions, and the config of a run on them."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import JsonValue

from experiments.collect.config import CollectConfig
from experiments.collect_run import run as collect
from experiments.skill.config import SkillConfig

BENCHMARK = "tests.worlds.planted:PlantedBenchmark"
TURNS = 2


def grow(root: Path, *, tasks: int = 48) -> Path:
    """A corpus of trees two attempts deep, below `root`."""
    plan = {"plan": "branching", "tasks": tasks, "attempts": 3, "turns": TURNS, "roots": 2, "depth": 2}
    collect(CollectConfig.model_validate({"benchmark": BENCHMARK, "root": str(root), **plan}), quiet=True)
    return root


def skill_config(root: Path, **changed: JsonValue) -> SkillConfig:
    """A small run on these trees."""
    given: dict[str, JsonValue] = {
        "lm": "openai/choosing",
        "benchmark": BENCHMARK,
        "root": str(root),
        "turns": TURNS,
        "tracking": False,
        "test": 6,
        "calibration": 6,
        "demos": 2,
        "policies": ["steer"],
        "chars": 400,
    }
    return SkillConfig.model_validate_json(json.dumps({**given, **changed}))
