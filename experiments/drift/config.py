"""The config of `drift_run`: which release, which corpus, and what is worth an alarm."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, JsonValue

from experiments.config import RunConfig
from signatures.release import Name


class DriftConfig(RunConfig):
    """What to compare. The limits are to be chosen before production is looked at."""

    name: Name | None = None
    "of the registered model; None: the benchmark's id"
    alias: Name = "champion"
    "of the registered model"
    release: str | None = None
    "folder of a release, instead of the registry"
    benchmark: str = "telecom"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark, such as options.noise=0.3"
    lm: str | None = None
    "Model string (docs/models.md) of the policies that ask one, needed to load their release; nothing is asked"
    api_base: str | None = None
    "where the model is served, if not at its provider"
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    "chance of ever a false alarm on one release, however often it is looked at"
    least_psi: float = Field(default=0.1, ge=0)
    "smallest population stability index of a feature that is worth an alarm"
    tolerance: float = Field(default=0.05, ge=0, le=1)
    "smallest fall of success that is worth an alarm"
    window: int = Field(default=32, ge=4)
    "production episodes in the smallest window that is tested, of those that count"
    every: int = Field(default=1, ge=1)
    "every so many-th episode counts: as many as a row of tasks of one kind may have"
    root: str = "runs"
    corpus: str | None = None
    "path of the corpus; None: the one of the benchmark below the root"
