"""The config of `harvest_run`: which benchmark's production episodes, and where."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, JsonValue

from experiments.config import RunConfig


class HarvestConfig(RunConfig):
    """What to harvest."""

    benchmark: str = "telecom"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark: they decide which tasks its splits have"
    root: str = "runs"
    corpus: str | None = None
    "path of the corpus; None: one per benchmark below the run root"
    evidence: int = Field(default=50, ge=1)
    "episodes that a finding names at most; it counts them all"
