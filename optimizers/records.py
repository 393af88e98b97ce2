"""What an evaluation is: one candidate on one task with one seed, as numbers on [0, 1] and where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

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
    "share of what the candidate would do that the task's recorded tree does not hold; such a score is live"
    episode_id: str | None = None
    failure: Failure | None = None
    spent: Amounts = Amounts()
    "live attempts and money; a replay spends none"
    used: Amounts = Amounts()
    "what the episode took, expected where replayed: what arms are compared at"
