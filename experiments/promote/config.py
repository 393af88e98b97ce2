"""The config of a promotion: what becomes a release, under which name, and how hard the canary looks."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, JsonValue

from experiments.config import RunConfig
from signatures.errors import UsageError
from signatures.release import Name


class PromoteConfig(RunConfig):
    """What a user may choose. With a gate, the fields of `GATED` come from the gate."""

    name: Name | None = None
    "of the registered model; None: the benchmark's id"
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
    attempts: int = Field(default=3, ge=1, le=8)
    "attempts granted per episode in production"
    turns: int = Field(default=12, ge=1)
    "worker turns granted per attempt"
    exploration: float = Field(default=0.05, ge=0, le=0.5)
    "registered least probability of every legal action in production; at 0 its episodes teach nothing of others"
    fallback: str | None = None
    "file of a saved controller of rules that decides where a policy's model is down; None: continue@k"
    canary_states: int = Field(default=64, ge=4)
    "states that the fresh process must answer as the compiled candidate does"
    canary_tasks: int = Field(default=3, ge=1)
    "tasks of the search split that it plays live"
    canary_timeout_s: float = Field(default=300.0, gt=0)
    root: str = "runs"
    corpus: str | None = None
    "path of the corpus that canary states come from; None: the one of the benchmark below the root"


GATED = ("benchmark", "options", "worker", "lm", "worker_lm", "api_base", "attempts", "turns")
"""What a gate has fixed: a certificate is about these, and about no others."""


def as_gated(config: PromoteConfig, gate: Mapping[str, object], where: str) -> PromoteConfig:
    """The config with the gate's values of `GATED`. Raises UsageError naming a field that was asked otherwise."""
    for field in GATED:
        if field in config.model_fields_set and getattr(config, field) != gate[field]:
            raise UsageError(f"{field}={getattr(config, field)!r}: {where} was on {field}={gate[field]!r}")
    return config.model_copy(update={field: gate[field] for field in GATED})
