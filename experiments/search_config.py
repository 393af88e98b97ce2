"""The config of a search: small and flat, read from TOML, dumped resolved into the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Self

from pydantic import Field, JsonValue, model_validator

from experiments.config import RunConfig

ADDED: Final = (
    *("learn_from", "harvested", "engine", "engine_options", "max_compute", "max_minutes", "max_tokens"),
    *("lm_max_tokens", "most_chars"),
)
"""Fields that came later: what a run was told is as before where they have their default."""


class SearchConfig(RunConfig):
    """What to search, on what, with how much. Sizes are tasks, budgets are attempts."""

    benchmark: str = "telecom"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark, such as options.noise=0.3"
    worker: str | None = None
    "None: the benchmark's own"
    lm: str | None = None
    "Model string (docs/models.md) for policies and reflection; None: rules and the mined proposer"
    lm_max_tokens: int | None = Field(default=None, ge=1)
    "tokens of one answer of `lm`; None: the provider's own limit. A small model may not end by itself"
    most_chars: int = Field(default=60_000, ge=1)
    "characters of evidence in one question to a proposing model; one with a small context is given less"
    worker_lm: str | None = None
    "Model string (docs/models.md) for the worker `chat`; None: that of `lm`"
    tier: Literal["frontier", "resident"] = "frontier"
    "where the model's decisions count"
    api_base: str | None = None
    "where the model is served, if not at its provider"
    seed: int = Field(default=0, ge=0)
    attempts: int = Field(default=3, ge=1, le=8)
    "attempts granted per episode"
    turns: int = Field(default=12, ge=1)
    "worker turns granted per attempt"
    train: int = Field(default=24, ge=1)
    "search tasks with a recorded tree, for minibatches and reflection"
    val: int = Field(default=72, ge=2)
    "search tasks that candidates are compared on"
    recorded_val: int | None = Field(default=None, ge=0)
    "val tasks with a recorded tree: replayed instead of attempted; None: all"
    live: bool = False
    "attempt every evaluation of the search live; trees of the train tasks alone are recorded, to reflect on"
    dev: int = Field(default=240, ge=2)
    "dev tasks of the final re-estimate"
    roots: int = Field(default=2, ge=1)
    "fresh attempts per recorded tree"
    generations: int = Field(default=12, ge=1)
    iterations: int = Field(default=5, ge=1)
    "proposals per generation"
    minibatch: int = Field(default=12, ge=1)
    max_attempts: int = Field(default=4000, ge=1)
    "live attempts that the search may spend: on what the record does not hold, or on everything where it runs live"
    max_usd: float | None = Field(default=None, ge=0)
    walks: int = Field(default=1, ge=1)
    "recorded episodes walked per task where a model decides; rules are replayed exactly"
    confirm: int = Field(default=16, ge=1)
    "members of a search's front that are attempted live in the end, the best on the primary objective first"
    explore: int = Field(default=2, ge=0)
    "candidates without support that are attempted live in the end, the most promising by the reward model"
    concurrency: int = Field(default=32, ge=1)
    root: str = Field(default="runs", min_length=1)
    corpus: str | None = None
    "path of the corpus; None: one per benchmark below the run root"
    tracking: bool = True
    "mirror events into MLflow"
    learn_from: str | tuple[str, ...] | None = None
    "`all`, for every corpus below the run root, or paths of corpora: learn from their moves as well"
    harvested: str | None = None
    "file of tasks that harvest_run wrote: train tasks beside those of the search split"
    engine: str = "gepa_search"
    "engine id, or package.module:function that builds one"
    engine_options: Mapping[str, JsonValue] = Field(default_factory=dict)
    'the engine\'s own settings, such as engine_options.sampler="tpe"'
    max_compute: int | None = Field(default=None, ge=1)
    "attempts that the search's evaluations may stand for, made or replayed; None: generations x iterations proposals"
    max_minutes: float | None = Field(default=None, gt=0)
    "wall time of the engine's search, earlier parts of it counted where it goes on; its rival and the end are extra"
    max_tokens: int | None = Field(default=None, ge=0)
    "LM tokens that the engine's search may spend, on decisions, proposals and reflection"

    @model_validator(mode="after")
    def _minibatches_fit(self) -> Self:
        if self.minibatch > self.train:
            raise ValueError(f"minibatch={self.minibatch} is more than train={self.train}")
        return self

    def told(self, *, without: frozenset[str] = frozenset()) -> dict[str, object]:
        """The JSON-able fields that a run was told, those that came later only where they are set."""
        plain = {name: field.get_default(call_default_factory=True) for name, field in type(self).model_fields.items()}
        unset = {name for name in ADDED if getattr(self, name) == plain[name]}
        return self.model_dump(mode="json", exclude={*without, *unset})

    @property
    def engine_name(self) -> str:
        """The engine's short name: in run folders, journals, tables and the tracker."""
        return self.engine.replace(":", ".").removesuffix("_search")

    @property
    def val_trees(self) -> int:
        """Val tasks whose tree is recorded."""
        return 0 if self.live else self.val if self.recorded_val is None else min(self.recorded_val, self.val)

    @property
    def most_found(self) -> int:
        """Candidates that a search may find, the start among them; as many as it may evaluate under `max_compute`."""
        if self.max_compute is not None:
            return 1 + self.max_compute
        return self.generations * self.iterations + 1

    @property
    def most_confirmed(self) -> int:
        """Candidates of one search that are attempted live in the end, what is explored left out; none if live."""
        return 0 if self.live else min(self.most_found, self.confirm + 1)

    @property
    def least_attempts(self) -> int:
        """What evaluating the first candidate and one proposal may take: no search can do with less."""
        return (self.val + 2 * self.minibatch) * self.attempts
