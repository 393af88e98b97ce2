"""The gate's records: what cannot be is refused, and discordant pairs are those that differ."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from optimizers.gate.records import Decided, Evidence


def evidence(**changed: object) -> Evidence:
    """Six tasks, four of them won."""
    body: dict[str, object] = {
        "objective": "correct",
        "kind": "pass/fail",
        "n": 6,
        "wins": 4,
        "losses": 0,
        "baseline": 0.0,
        "candidate": 2 / 3,
        "effect": 2 / 3,
        "sd": 0.5,
        "lo": 0.1,
        "hi": 0.9,
        "shown_lo": None,
        "shown_hi": None,
        "e_value": 1.0,
        "p": 0.0625,
        "p_harm": 1.0,
        "min_p": 0.0625,
        "mde": None,
        "power": {},
    }
    return Evidence.model_validate({**body, **changed})


def test_discordant_tasks_are_won_or_lost() -> None:
    assert evidence(losses=1).discordant == 5


@pytest.mark.parametrize("changed", [{"p": 1.5}, {"n": -1}, {"kind": "maybe"}, {"effect": float("nan")}])
def test_what_cannot_be_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        evidence(**changed)


def test_a_decision_comes_with_a_reason() -> None:
    with pytest.raises(ValidationError):
        Decided(decision="hold", reasons=(), changes={}, evidence=(evidence(),))
