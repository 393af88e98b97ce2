"""What an evaluation is: one candidate on one task with one seed, as numbers on [0, 1] and where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from signatures.records import Amounts, Failure, Probability, Record, Split


class TaskScore(Record):
    """One evaluation. A value that could not be had is None; a failure is missing data, never a zero."""

    candidate: str
    condition: str
    task_digest: str
    seed: int
    split: Split
    values: Mapping[str, Probability | None]
    "scaled, by objective"
    source: Literal["live", "replay"]
    unsupported: Probability = 0.0
    "share of what the candidate would do that the task's recorded tree does not hold; beyond 5 % the score is live"
    set_aside: bool = False
    "no support, and no attempts left to run it live: a score without values, never compared and never a zero"
    cut: str = ""
    "set aside because this limit of the search was reached; what was attempted before it is in `spent`"
    fault: str = ""
    "how the candidate's program failed on this task: then every value is 0, and what was attempted is in `spent`"
    asked: tuple[str, ...] = ()
    "digests of the inputs that the replay asked a model, and that are paid for in `spent`"
    saved: int = Field(default=0, ge=0)
    "inputs whose answer was there: the same policy had been asked the same before"
    episode_id: str | None = None
    failure: Failure | None = None
    spent: Amounts = Amounts()
    "live attempts and money; a replay spends no attempt, only what it had to ask a model"
    used: Amounts = Amounts()
    "what the episode took, expected where replayed: what arms are compared at"


@dataclass
class Tally:
    """What the evaluations of one evaluator were, each counted once."""

    scores: int = 0
    replayed: int = 0
    aside: int = 0
    attempts: int = 0
    "what all of them stand for: attempts made, or expected where replayed; what engines are compared at"
    asked: int = 0
    saved: int = 0
    "answers of models that replay needed: paid for, and had already"

    def add(self, score: TaskScore) -> None:
        """Count one evaluation."""
        self.scores += 1
        self.aside += score.set_aside
        self.replayed += score.source == "replay" and not score.set_aside
        self.attempts += score.used.attempts or 0
        self.asked += len(score.asked)
        self.saved += score.saved
