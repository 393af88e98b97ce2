"""The config of a meta run: settings to choose from, search problems that they are tried on, and the confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, JsonValue, model_validator

from experiments.config import RunConfig
from experiments.search_config import SearchConfig

QUICK: Final[Mapping[str, int]] = {
    "pool": 18,
    "train": 5,
    "val": 6,
    "held": 7,
    "problems": 3,
    "compute": 120,
    "candidates": 4,
    "confirm": 12,
    "dev": 4,
}
"""What `--quick` sets, where nothing else is said."""
CIRCUMSTANCES: Final = frozenset(("root", "concurrency", "tracking"))
"""Fields that change nothing of what is found."""


class MetaConfig(RunConfig):
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
    "attempts granted per episode"
    turns: int = Field(default=12, ge=1)
    "worker turns granted per attempt"
    roots: int = Field(default=2, ge=1)
    "fresh attempts per recorded tree"
    pool: int = Field(default=48, ge=3)
    "search tasks with a recorded tree that settings are tuned on; as many others are for the confirmation"
    train: int = Field(default=12, ge=1)
    "tasks of one problem that its search reflects on"
    val: int = Field(default=16, ge=2)
    "tasks of one problem that its search compares candidates on"
    held: int = Field(default=20, ge=1)
    "tasks of one problem that what was found is judged on, by replay"
    problems: int = Field(default=8, ge=2)
    "search problems: a slice of the pool and a seed each"
    compute: int = Field(default=600, ge=1)
    "attempts that the evaluations of one search stand for, the same for all settings"
    candidates: int = Field(default=16, ge=1)
    "settings that are considered beside the default"
    engines: tuple[str, ...] = ("gepa_search", "pareto_search", "random_search", "optuna_search")
    minibatches: tuple[int, ...] = (4, 8, 12)
    proposers: tuple[Literal["mined", "drawn"], ...] = ("mined", "drawn")
    races: tuple[Literal["halving", "strict", "one look"], ...] = ("halving", "strict", "one look")
    confirm: int = Field(default=40, ge=2)
    "problems of the confirmation: other tasks and other seeds; they are the unit of what tuning adds"
    dev: int = Field(default=6, ge=1)
    "dev tasks that each of them plays live, no task twice"
    alpha: float = Field(default=0.025, gt=0, lt=0.5)
    "one-sided"
    min_effect: float | None = Field(default=None, gt=0, le=1)
    "smallest effect of interest: its power is told"
    concurrency: int = Field(default=32, ge=1)
    root: str = "runs"
    tracking: bool = True
    "mirror the report into MLflow"

    @model_validator(mode="after")
    def _problems_fit(self) -> Self:
        if sum(self.sizes) > self.pool:
            raise ValueError(f"a problem has {' + '.join(map(str, self.sizes))} tasks, the pool {self.pool}")
        return self

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Tasks of one problem: train, val, held."""
        return self.train, self.val, self.held

    @property
    def choices(self) -> dict[str, tuple[JsonValue, ...]]:
        """What each setting may be."""
        return {
            "engine": tuple(self.engines),
            "minibatch": tuple(self.minibatches),
            "proposer": tuple(self.proposers),
            "race": tuple(self.races),
        }

    @property
    def identity(self) -> dict[str, object]:
        """What makes two runs the same, as JSON-able data."""
        return self.model_dump(mode="json", exclude=set(CIRCUMSTANCES))


def search_config(config: MetaConfig, corpus: Path) -> SearchConfig:
    """The level below as a search has it, on a corpus of its own; both pools are its train tasks."""
    return SearchConfig(
        benchmark=config.benchmark,
        options=config.options,
        worker=config.worker,
        worker_lm=config.worker_lm,
        api_base=config.api_base,
        seed=config.seed,
        attempts=config.attempts,
        turns=config.turns,
        train=2 * config.pool,
        val=2,
        dev=config.confirm * config.dev,
        roots=config.roots,
        minibatch=1,
        concurrency=config.concurrency,
        root=config.root,
        corpus=str(corpus),
        tracking=False,
    )
