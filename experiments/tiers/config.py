"""The configs of `demote_run` and `tiers_run`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, JsonValue

from experiments.config import RunConfig


class DemoteConfig(RunConfig):
    """Which controller, which record, and what a rule is held to before it is proposed."""

    controller: str
    "file of a saved controller of which a policy asks a model"
    benchmark: str = "telecom"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark, such as options.noise=0.3"
    worker: str | None = None
    "for the gate's command; None: the benchmark's own"
    lm: str | None = None
    "Model string (docs/models.md) of a model that the controller asks, where its saved name does not say where it is"
    api_base: str | None = None
    "where the model is served, if not at its provider"
    agreement: float = Field(default=0.9, ge=0, le=1)
    "least share of the model's decisions that a rule must reproduce, cross-validated over tasks"
    regret: float = Field(default=0.05, ge=0, lt=1)
    "most that may be lost on any objective, by the upper end of the interval"
    depth: int = Field(default=3, ge=1, le=6)
    "conditions of one rule"
    rules: int = Field(default=8, ge=2, le=32)
    "rules of one decision, the last one without a condition"
    least: int = Field(default=5, ge=1)
    "decisions that a rule rests on"
    folds: int = Field(default=5, ge=2)
    walks: int = Field(default=16, ge=1)
    "episodes walked on each recorded tree, by each controller"
    ask: bool = False
    "ask the model live what nobody asked it yet"
    most_asked: int = Field(default=500, ge=0)
    "inputs that may be asked, where `ask` is set"
    answers: tuple[str, ...] = ()
    "files of recorded answers, as searches keep them (`asked.jsonl`); none named: those of all runs below the root"
    attempts: int = Field(default=3, ge=1, le=8)
    "attempts granted per episode"
    turns: int = Field(default=12, ge=1)
    "worker turns granted per attempt"
    seed: int = Field(default=0, ge=0)
    root: str = "runs"
    corpus: str | None = None
    "path of the corpus; None: the one of the benchmark below the root"
    tracking: bool = True
    "mirror the report into MLflow"


class TiersConfig(RunConfig):
    """Which corpus, and how finely its course is told."""

    benchmark: str = "telecom"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark"
    split: str | None = None
    "None: all of them"
    periods: int = Field(default=10, ge=1, le=1000)
    "parts of as many episodes each, in order of arrival"
    root: str = "runs"
    corpus: str | None = None
    "path of the corpus; None: the one of the benchmark below the root"
    tracking: bool = True
    "mirror the scoreboard into MLflow"
