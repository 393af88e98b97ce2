"""The config of `skill_run`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field, JsonValue

from controllers.policies.choice import MOST_CHARS
from experiments.config import RunConfig
from signatures.records import PolicyName

QUICK: Final = ("test=6", "calibration=6", "demos=3")
"""What `--quick` sets, before other overrides: to see that it works, not to learn anything."""


class SkillConfig(RunConfig):
    """Which model, which record, and how much is asked."""

    lm: str
    "model string, such as local:/path/model.gguf"
    api_base: str | None = None
    "where the model is served, if not at its provider"
    benchmark: str = "telecom"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark"
    corpus: str | None = None
    "path of the corpus; None: the one of the benchmark below the root"
    policies: tuple[PolicyName, ...] = Field(default=("topology", "steer", "stop"), min_length=1)
    "which decisions"
    test: int = Field(default=24, ge=1)
    "questions of each policy that are counted, rounded down to as many of every answer"
    calibration: int = Field(default=24, ge=1)
    "questions that biases, thresholds and rules are fitted on"
    demos: int = Field(default=6, ge=1)
    "answered questions shown before others, one of every answer at least; of families that no test question has"
    margin: float = Field(default=0.1, gt=0, le=1)
    "least difference of `correct` between the best action and the second"
    chars: int = Field(default=MOST_CHARS, ge=0)
    "of observations in a question"
    attempts: int = Field(default=3, ge=2, le=8)
    "attempts granted per episode"
    turns: int = Field(default=12, ge=1)
    "worker turns granted per attempt"
    tier: Literal["resident", "frontier"] = "resident"
    "where the decisions of the candidate count that is written"
    seed: int = Field(default=0, ge=0)
    "which families are held out, and which questions are drawn"
    root: str = "runs"
    tracking: bool = True
    "mirror the report into MLflow"
