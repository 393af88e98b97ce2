"""The config of `collect_run`: small and flat; equal configs collect equal things."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field, JsonValue

from experiments.config import RunConfig

LEAST_FLOOR: Final = 0.05
"""Below it, weights of a few rounds are too wild to learn from."""


class CollectConfig(RunConfig):
    """What to record of which tasks, and what it may cost."""

    benchmark: str = "telecom"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark, such as options.noise=0.3"
    worker: str | None = None
    "None: the benchmark's own"
    worker_lm: str | None = None
    "Model string (docs/models.md) for the worker `chat`"
    api_base: str | None = None
    "where the model is served, if not at its provider"
    seed: int = Field(default=0, ge=0)
    "of the stochastic episodes; trees are the same for all seeds, and those of gepa_run"
    plan: Literal["both", "stochastic", "branching"] = "both"
    tasks: int = Field(default=96, ge=1)
    "from the front of the search split: the first ones are those that gepa_run searches on"
    attempts: int = Field(default=3, ge=1, le=8)
    "attempts granted per stochastic episode"
    turns: int = Field(default=12, ge=1)
    "worker turns granted per attempt"
    episodes_per_task: int = Field(default=24, ge=1)
    "stochastic episodes, each with a seed of its own"
    floor: float = Field(default=LEAST_FLOOR, ge=LEAST_FLOOR, le=0.5)
    "least probability of every legal action"
    roots: int = Field(default=3, ge=1)
    "fresh attempts per tree"
    depth: int = Field(default=3, ge=1, le=3)
    "attempts in the longest lineage of a tree"
    max_attempts: int | None = Field(default=None, ge=0)
    "attempts that the plan may come to, counting those of it that are recorded; None: no limit"
    max_usd: float | None = Field(default=None, ge=0)
    "the same in money; a top-up may spend as much on its own"
    attempt_usd: float | None = Field(default=None, gt=0)
    "the most that one attempt may cost, to reserve by; None: the dearest recorded of this worker"
    top_up: int = Field(default=0, ge=0)
    "attempts to spend on the neediest cells, instead of the plan"
    concurrency: int = Field(default=32, ge=1)
    root: str = "runs"
    corpus: str | None = None
    "path of the corpus; None: the one of the benchmark below the root, as for gepa_run"


def command_of(config: CollectConfig, **changed: int) -> str:
    """The command line of this config, with fields changed. Fields that have their default are left out."""
    wanted = config.model_copy(update=dict(changed)).model_dump(mode="json")
    usual = CollectConfig().model_dump(mode="json")
    given = [
        shlex.quote(f"{name}={value if isinstance(value, str) else json.dumps(value)}")
        for name, value in wanted.items()
        if value != usual[name] and name != "top_up"
    ]
    options = [f"--top-up {wanted['top_up']}"] if wanted["top_up"] else []
    return " ".join(["python -m experiments.collect_run", *options, *given])
