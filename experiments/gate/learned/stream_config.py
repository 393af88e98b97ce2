"""The config of a stream of runs: how many, on slices of how many tasks, and what is learned between them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from pydantic import Field, JsonValue, model_validator

from experiments.config import RunConfig
from experiments.gate.workers import worker_asked
from experiments.search_config import SearchConfig

QUICK: Final[Mapping[str, int]] = {"runs": 8, "slice": 12}
"""What `--quick` sets, where nothing else is said: minutes on the default benchmark."""
CIRCUMSTANCES: Final = frozenset(("root", "concurrency", "tracking"))
"""Fields that change nothing of what is found."""


class GateBConfig(RunConfig):
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
    "attempts granted per episode, to every arm"
    turns: int = Field(default=12, ge=1)
    "worker turns granted per attempt"
    runs: int = Field(default=20, ge=2)
    "a gain that comes at once gives no p below 1 / runs: many small runs with little learning between show it best"
    slice: int = Field(default=24, ge=2)
    "tasks of the search split that a run plays, none of them in another run"
    repeats: int = Field(default=2, ge=1)
    "episodes of each arm per task, each with a seed of its own"
    trees: int = Field(default=2, ge=1)
    "tasks of each slice whose tree is recorded after the run: what later runs learn from"
    roots: int = Field(default=2, ge=1)
    "fresh attempts per recorded tree"
    generations: int = Field(default=4, ge=1)
    "of the search between two runs"
    iterations: int = Field(default=5, ge=1)
    "proposals per generation"
    minibatch: int = Field(default=8, ge=1)
    alpha: float = Field(default=0.025, gt=0, lt=0.5)
    "one-sided"
    concurrency: int = Field(default=32, ge=1)
    root: str = "runs"
    tracking: bool = True
    "mirror the report into MLflow"

    @model_validator(mode="after")
    def _trees_are_of_the_slice(self) -> Self:
        if self.trees > self.slice:
            raise ValueError(f"trees={self.trees} is more than slice={self.slice}")
        return self

    @property
    def identity(self) -> dict[str, object]:
        """What makes two streams the same, as JSON-able data."""
        return self.model_dump(mode="json", exclude=set(CIRCUMSTANCES))

    @property
    def most_attempts(self) -> int:
        """The most live attempts that the arms can take; trees and searches come on top."""
        ends = max(1, self.runs // 3)
        return (3 * self.runs + ends) * self.slice * self.repeats * self.attempts


def learner_config(config: GateBConfig, corpus: Path) -> SearchConfig:
    """The same as a search has it, on a corpus of the stream's own: nothing recorded elsewhere is learned from."""
    return SearchConfig(
        benchmark=config.benchmark,
        options=config.options,
        worker=worker_asked(config.worker, config.worker_lm),
        worker_lm=config.worker_lm,
        api_base=config.api_base,
        seed=config.seed,
        attempts=config.attempts,
        turns=config.turns,
        train=max(config.trees, config.minibatch),
        val=2,
        dev=2,
        roots=config.roots,
        generations=config.generations,
        iterations=config.iterations,
        minibatch=config.minibatch,
        concurrency=config.concurrency,
        root=config.root,
        corpus=str(corpus),
        tracking=False,
    )
