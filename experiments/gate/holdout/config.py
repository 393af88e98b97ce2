"""The config of a gate on the holdout: what is compared, on what, with how much, and by which numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import Field, JsonValue

from experiments.config import RunConfig
from signatures.records import NonNegative

CIRCUMSTANCES: Final = frozenset(("root", "concurrency", "tracking"))
"""Fields that change nothing of what is found: where, how many at once, who watches."""


class HoldoutConfig(RunConfig):
    """What `register` writes down. Sizes are tasks, budgets are attempts."""

    candidate: str
    "file of a saved controller"
    baseline: str
    "the same, or a control arm such as continue@3"
    benchmark: str = "telecom"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark, such as options.noise=0.3"
    worker: str | None = None
    "None: the benchmark's own"
    lm: str | None = None
    "Model string (docs/models.md), where a policy asks a model"
    worker_lm: str | None = None
    "Model string (docs/models.md) for the worker `chat`; None: that of `lm`"
    api_base: str | None = None
    "where the model is served, if not at its provider"
    seed: int = Field(default=0, ge=0)
    attempts: int = Field(default=3, ge=1, le=8)
    "attempts granted per episode"
    turns: int = Field(default=12, ge=1)
    "worker turns granted per attempt"
    repeats: int = Field(default=1, ge=1)
    "episodes of each arm per task, each with a seed of its own"
    slices: int = Field(default=1, ge=1)
    "disjoint parts that the holdout is dealt out to: a gate reads the first one that nobody has read"
    primary: str | None = None
    "the objective that decides; None: the benchmark's first"
    margins: Mapping[str, NonNegative] = Field(default_factory=dict)
    "by objective: the loss on [0, 1] that still counts as not worse; 0.05 for those without one"
    alpha: float = Field(default=0.025, gt=0, lt=0.5)
    "one-sided"
    min_effect: float | None = Field(default=None, gt=0, le=1)
    "smallest effect of interest on the primary objective: promotion needs 50 % power for it"
    family: tuple[str, ...] = ()
    "further contrasts that Benjamini-Hochberg corrects together with this one, such as `g02-c1 - continue@3`"
    searched: float | None = Field(default=None, ge=0, le=1)
    "the search's value of the candidate; None: read off the search's run folder, where the candidate lies in one"
    searched_baseline: float | None = Field(default=None, ge=0, le=1)
    "the same of the baseline, whose gap shows how much harder the holdout's tasks are"
    concurrency: int = Field(default=32, ge=1)
    root: str = "runs"
    tracking: bool = True
    "mirror the report into MLflow"

    @property
    def identity(self) -> dict[str, object]:
        """What makes two gates the same, as JSON-able data."""
        return self.model_dump(mode="json", exclude=set(CIRCUMSTANCES))
