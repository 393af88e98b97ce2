"""The verdict: what a judge said of one selected attempt. Kept apart from everything that steers."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from signatures.records import Finite, Probability, Record, Split


class Judgement(Record):
    """What a judge returns. `score=None`: it cannot say, which is missing data and not a zero."""

    score: Probability | None
    reason: str = ""
    parts: dict[str, bool] = Field(default_factory=dict)
    "named sub-assertions, for reports"


class Verdict(Record):
    """One judgement, tied to the episode whose selected attempt it scored."""

    measured: ClassVar[frozenset[str]] = frozenset()

    id: str
    episode_id: str
    attempt_id: str
    task_digest: str
    benchmark: str
    split: Split
    judge: str
    "name and revision of the judge"
    score: Finite | None
    reason: str = ""
    parts: dict[str, bool] = Field(default_factory=dict)
