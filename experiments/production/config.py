"""The config of `production_run`: which release decides, for which worker, on which tasks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import Field, JsonValue, field_validator

from experiments.config import RunConfig
from signatures.release import Name

USUAL: Final = 20
"""Tasks of a split, where no number is asked for."""


class ProductionConfig(RunConfig):
    """What to play, and what decides it."""

    benchmark: str = "telecom"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark, such as options.noise=0.3"
    name: Name | None = None
    "of the registered model; None: the benchmark's id"
    alias: Name = "champion"
    "of the registered model; what it names may change while the run goes on"
    release: str | None = None
    "folder of a release, instead of the registry"
    worker: str | None = None
    "None: the benchmark's own"
    worker_lm: str | None = None
    "Model string (docs/models.md) for the worker `chat`"
    lm: str | None = None
    "Model string (docs/models.md) of the policies that ask one; several are separated by commas"
    api_base: str | None = None
    "where the models are served, if not at their provider"
    tasks: int | None = Field(default=None, ge=1)
    "how many, from the front; None: 20 of a split, all of a file"
    split: str | None = None
    "production or search; None: production where the benchmark has such tasks, else search"
    tasks_file: str | None = None
    'JSONL of {"prompt": ...} with an optional "id", instead of a split'
    seed: int = Field(default=0, ge=0)
    concurrency: int = Field(default=32, ge=1)
    every_s: float = Field(default=5.0, ge=0)
    "least seconds between two looks at the alias"
    root: str = "runs"
    corpus: str | None = None
    "path of the corpus; None: the one of the benchmark below the root"
    tracking: bool = True
    "mirror the run into MLflow"

    @field_validator("split")
    @classmethod
    def _not_kept_apart(cls, split: str | None) -> str | None:
        if split in ("dev", "holdout"):
            raise ValueError(f"{split} is kept for judging: later searches learn from what is played in production")
        if split not in (None, "production", "search"):
            raise ValueError("is production or search")
        return split


def champion_cache(root: Path, name: str) -> Path:
    """Where the releases of a registered model that decided here are kept, for when the registry is down."""
    return root / f"champion-{name}"
