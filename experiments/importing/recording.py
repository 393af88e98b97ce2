"""What a source says of one episode, before it has ids: what every format gives and `building.py` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from signatures.records import (
    Amounts,
    CheckerResult,
    Cost,
    Finite,
    Outcome,
    PolicyName,
    Probability,
    Record,
    Steer,
    Tier,
    TraceEvent,
    WorkerFingerprint,
)


class Score(Record):
    """What a source's own judge said of an attempt. It goes to the verdict ledger and nowhere else."""

    value: Finite | None
    "None: it could not say, or not as one number"
    reason: str = ""
    name: str = ""
    "which of several judges; empty: the one that counts"
    parts: Mapping[str, bool] = Field(default_factory=dict)


class Rollout(Record):
    """One attempt."""

    output: str | None = None
    state: str | None = None
    trace: tuple[TraceEvent, ...] = ()
    outcome: Outcome = "ok"
    failure: str | None = None
    "what infrastructure did; only for the outcome infra_error"
    cost: Cost = Cost()
    steer: Steer = Steer()
    parent: int | None = Field(default=None, ge=0)
    "the attempt it went on from, by its place in the episode; None: fresh"
    round: int | None = Field(default=None, ge=0)
    "None: its place in the episode"
    checks: tuple[CheckerResult, ...] = ()
    scores: tuple[Score, ...] = ()

    @model_validator(mode="after")
    def _failure_belongs_to_infra(self) -> Self:
        if (self.outcome == "infra_error") != (self.failure is not None):
            raise ValueError("an infra_error has a failure, and only an infra_error has one")
        return self


class Drawn(Record):
    """One decision of the recorded controller. Without a propensity it is no `Decision` record, and is left out."""

    step: int = Field(ge=0)
    policy: PolicyName
    action: str
    legal: tuple[str, ...]
    features: Mapping[str, Finite] = Field(default_factory=dict)
    probabilities: Mapping[str, Probability] | None = None
    propensity: Probability | None = None
    draw_seed: int = 0
    tier: Tier = "rule"
    policy_digest: str = ""

    @model_validator(mode="after")
    def _is_a_draw(self) -> Self:
        if self.action not in self.legal:
            raise ValueError(f"action {self.action!r} is not among the legal ones")
        if (self.propensity is None) != (self.probabilities is None):
            raise ValueError("give propensity and probabilities, or neither")
        if self.propensity is None or self.probabilities is None:
            return self
        if set(self.probabilities) != set(self.legal) or abs(sum(self.probabilities.values()) - 1) > 1e-6:
            raise ValueError("probabilities are those of the legal actions and sum to 1")
        if self.propensity == 0 or abs(self.propensity - self.probabilities[self.action]) > 1e-9:
            raise ValueError("propensity is the action's probability, above 0")
        return self


class Recording(Record):
    """One episode of a source. `scores` apart, everything in it is part of its id."""

    benchmark: str = Field(min_length=1)
    key: str = ""
    "what the source calls the task; empty: the prompt names it"
    prompt: str = ""
    run: str = ""
    "tells apart episodes that are equal in all else: a trial, a run"
    worker: WorkerFingerprint
    rollouts: tuple[Rollout, ...] = Field(min_length=1)
    decisions: tuple[Drawn, ...] = ()
    selected: int | None = Field(default=None, ge=0)
    "place of the selected attempt; None: the last one that ended"
    granted: Amounts = Amounts()

    @model_validator(mode="after")
    def _points_backwards(self) -> Self:
        if not (self.key or self.prompt):
            raise ValueError("a task needs a key or a prompt")
        if self.selected is not None and self.selected >= len(self.rollouts):
            raise ValueError(f"there is no attempt {self.selected} to be selected")
        for index, rollout in enumerate(self.rollouts):
            if rollout.parent is not None and rollout.parent >= index:
                raise ValueError(f"attempt {index} cannot go on from attempt {rollout.parent}")
        if [one.step for one in self.decisions] != sorted({one.step for one in self.decisions}):
            raise ValueError("the steps of decisions ascend")
        return self
