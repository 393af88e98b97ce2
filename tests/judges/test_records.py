"""The verdict records: frozen, strict, with a score that may be missing and never out of range."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from judges.records import Judgement, Verdict

VERDICT = Verdict(
    id="v", episode_id="e", attempt_id="a", task_digest="t", benchmark="b", split="search", judge="j 1", score=0.5
)


@given(st.floats(0, 1) | st.none(), st.text(max_size=20), st.dictionaries(st.text(max_size=5), st.booleans()))
def test_a_judgement_comes_back_from_json(score: float | None, reason: str, parts: dict[str, bool]) -> None:
    judgement = Judgement(score=score, reason=reason, parts=parts)
    assert Judgement.model_validate_json(judgement.model_dump_json()) == judgement


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan"), float("inf"), "1", True])
def test_a_score_is_a_number_from_0_to_1_or_missing(score: object) -> None:
    with pytest.raises(ValidationError):
        Judgement.model_validate({"score": score})


def test_a_verdict_is_never_edited() -> None:
    with pytest.raises(ValidationError):
        VERDICT.score = 1.0  # type: ignore[misc]


def test_a_verdict_holds_no_more_than_its_fields() -> None:
    with pytest.raises(ValidationError):
        Verdict.model_validate({**VERDICT.model_dump(), "hint": "the fault is the SIM"})


def test_every_field_of_a_verdict_counts_in_its_content() -> None:
    assert VERDICT.model_copy(update={"reason": "other"}).content_digest() != VERDICT.content_digest()
    assert VERDICT.model_copy(update={"score": None}).content_digest() != VERDICT.content_digest()
