"""The config of an ablation: what the learner may learn from, and on how many dev tasks its factors are measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import Field, JsonValue

from experiments.config import RunConfig
from experiments.gate.workers import worker_asked
from experiments.search_config import SearchConfig

QUICK: Final[Mapping[str, int]] = {
    "train": 8,
    "tasks": 32,
    "repeats": 1,
    "generations": 3,
    "problems": 2,
    "candidates": 3,
}
"""What `--quick` sets, where nothing else is said."""
CIRCUMSTANCES: Final = frozenset(("root", "concurrency", "tracking"))
"""Fields that change nothing of what is found."""


class AblationConfig(RunConfig):
    """Sizes are tasks, budgets are attempts."""

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
    attempts: int = Field(default=3, ge=1, le=8)
    "attempts granted per episode, to every cell"
    turns: int = Field(default=12, ge=1)
    "worker turns granted per attempt"
    train: int = Field(default=24, ge=1)
    "search tasks with a recorded tree, that the learner learns from"
    generations: int = Field(default=6, ge=1)
    iterations: int = Field(default=5, ge=1)
    "proposals per generation"
    minibatch: int = Field(default=8, ge=1)
    settings: str | None = None
    "file of settings that a meta run tuned; None: they are tuned here, on the trees of the learner"
    problems: int = Field(default=6, ge=2)
    "search problems that settings are tuned on"
    candidates: int = Field(default=8, ge=1)
    "settings that are considered beside the default"
    tasks: int = Field(default=160, ge=2)
    "dev tasks that every cell plays"
    repeats: int = Field(default=2, ge=1)
    "episodes of each cell per task, each with a seed of its own"
    alpha: float = Field(default=0.025, gt=0, lt=0.5)
    "one-sided"
    min_effect: float | None = Field(default=None, gt=0, le=1)
    "smallest effect of interest: its power is told"
    concurrency: int = Field(default=32, ge=1)
    root: str = "runs"
    tracking: bool = True
    "mirror the report into MLflow"

    @property
    def identity(self) -> dict[str, object]:
        """What makes two ablations the same, as JSON-able data."""
        return self.model_dump(mode="json", exclude=set(CIRCUMSTANCES))


def search_config(config: AblationConfig, corpus: Path) -> SearchConfig:
    """The same as a search has it, on a corpus of its own, with as many fresh attempts per tree as an episode has."""
    return SearchConfig(
        benchmark=config.benchmark,
        options=config.options,
        worker=worker_asked(config.worker, config.worker_lm),
        worker_lm=config.worker_lm,
        api_base=config.api_base,
        seed=config.seed,
        attempts=config.attempts,
        turns=config.turns,
        train=max(config.train, config.minibatch),
        val=2,
        dev=config.tasks,
        roots=config.attempts,
        generations=config.generations,
        iterations=config.iterations,
        minibatch=config.minibatch,
        concurrency=config.concurrency,
        root=config.root,
        corpus=str(corpus),
        tracking=False,
    )
