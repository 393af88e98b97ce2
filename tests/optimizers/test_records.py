"""The record of one evaluation."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from optimizers.records import TaskScore

GOOD: dict[str, Any] = {
    "candidate": "c",
    "condition": "candidate",
    "task_digest": "t",
    "seed": 1,
    "split": "search",
    "values": {"correct": 0.5, "fast": None},
    "source": "live",
}


def test_a_missing_value_is_none_and_nothing_spent_is_not_zero() -> None:
    score = TaskScore.model_validate(GOOD)
    assert score.values["fast"] is None
    assert (score.unsupported, score.failure, score.spent.attempts) == (0.0, None, None)
    assert TaskScore.model_validate_json(score.model_dump_json()) == score


@pytest.mark.parametrize(
    "change",
    [
        {"values": {"correct": 1.5}},
        {"values": {"correct": float("nan")}},
        {"values": {"correct": "0.5"}},
        {"unsupported": -0.1},
        {"unsupported": 1.1},
        {"source": "invented"},
        {"split": "test"},
        {"extra": 1},
    ],
)
def test_what_is_no_score_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TaskScore.model_validate({**GOOD, **change})


def test_a_score_is_never_edited() -> None:
    with pytest.raises(ValidationError):
        TaskScore.model_validate(GOOD).seed = 2  # type: ignore[misc]
