"""The config of a transfer: which domains, what is learned in each, and on how many tasks of the others it is tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from pydantic import Field, JsonValue, model_validator

from experiments.config import RunConfig

QUICK: Final = ("train=6", "tasks=32", "repeats=1", "generations=3", "minibatch=4", "roots=1")
"""What `--quick` sets, before any override."""
CIRCUMSTANCES: Final = frozenset(("root", "concurrency", "tracking"))
"""Fields that change nothing of what is found."""


class TransferConfig(RunConfig):
    """Sizes are tasks, budgets are attempts."""

    domains: tuple[str, ...] = ("telecom", "refactory", "wordnet", "terminal")
    "each a benchmark id, package.module:Class, or NAME=BENCHMARK for one that is there twice; source and target alike"
    options: Mapping[str, Mapping[str, JsonValue]] = Field(default_factory=dict)
    "by domain: options of its benchmark, such as options.telecom.noise=0.3"
    workers: Mapping[str, str] = Field(default_factory=dict)
    "by domain: its worker; the others have their benchmark's own"
    worker_lm: str | None = None
    "Model string (docs/models.md), for the domains whose worker is `chat`"
    api_base: str | None = None
    "where the model is served, if not at its provider"
    seed: int = Field(default=0, ge=0)
    attempts: int = Field(default=3, ge=1, le=8)
    "attempts granted per episode, to every controller"
    turns: int = Field(default=12, ge=1)
    "worker turns granted per attempt"
    train: int = Field(default=24, ge=1)
    "search tasks of each domain with a recorded tree; fewer where the split has fewer"
    roots: int = Field(default=2, ge=1)
    "fresh attempts per recorded tree"
    generations: int = Field(default=6, ge=1)
    iterations: int = Field(default=5, ge=1)
    "proposals per generation"
    minibatch: int = Field(default=8, ge=1)
    tasks: int = Field(default=240, ge=2)
    "dev tasks of each domain that controllers are tried on; fewer where the split has fewer"
    repeats: int = Field(default=2, ge=1)
    "seeds per task, nested in it"
    alpha: float = Field(default=0.025, gt=0, lt=0.5)
    "one-sided"
    min_effect: float = Field(default=0.1, ge=0, lt=1)
    "smallest effect of interest on the primary objective; 0: none is registered"
    concurrency: int = Field(default=32, ge=1)
    root: str = "runs"
    tracking: bool = True
    "mirror the report into MLflow"

    @model_validator(mode="after")
    def _several_domains(self) -> Self:
        names = [name for name, _ in self.named]
        if len(names) < 2:
            raise ValueError("domains: a transfer needs two or more")
        if len(set(names)) < len(names):
            raise ValueError(f"domains: {max(names, key=names.count)} is there twice; name them NAME=BENCHMARK")
        for field, given in (("options", self.options), ("workers", self.workers)):
            if unknown := sorted(set(given) - set(names)):
                raise ValueError(f"{field}: {unknown[0]} is no domain; there are {', '.join(names)}")
        if self.worker_lm is not None and "chat" not in self.workers.values():
            raise ValueError("worker_lm: no domain's worker is chat; say which with workers.NAME=chat")
        return self

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """(name, benchmark) of each domain."""
        return tuple(_named(domain) for domain in self.domains)

    @property
    def identity(self) -> dict[str, object]:
        """What makes two transfers the same, as JSON-able data."""
        return self.model_dump(mode="json", exclude=set(CIRCUMSTANCES))


def _named(domain: str) -> tuple[str, str]:
    name, equals, benchmark = domain.partition("=")
    return (name, benchmark) if equals else (domain.rpartition(":")[2], domain)
