"""Which recorded decisions a rule is fitted to."""

from __future__ import annotations

import pytest

from optimizers.tiers.answered import LEARNED_FROM, answered, most_likely
from signatures.records import Cost, Decision


def decision(episode: str, step: int, chances: dict[str, float], *, policy: str = "steer", by: str = "m") -> Decision:
    body = {
        "id": f"{episode}{step}",
        "episode_id": episode,
        "step": step,
        "policy": policy,
        "features": {"x": float(step)},
        "legal": tuple(chances),
        "probabilities": chances,
        "action": next(iter(chances)),
        "propensity": 0.5,
        "draw_seed": 1,
        "tier": "frontier",
        "policy_digest": by,
        "cost": Cost(tokens_in=10, tokens_out=1),
    }
    return Decision.model_validate(body)


def test_only_the_policys_own_decisions_in_episodes_that_may_be_read_count() -> None:
    decisions = [
        decision("e1", 0, {"fan": 0.9, "core": 0.1}),
        decision("e1", 1, {"fan": 0.5, "core": 0.5}),
        decision("e1", 2, {"fan": 0.9, "core": 0.1}, by="fallback"),
        decision("holdout", 0, {"fan": 0.9, "core": 0.1}),
        decision("e1", 3, {"done": 0.9, "continue": 0.1}, policy="stop"),
    ]
    found = answered(decisions, {"e1": "t1"}, {"steer": "m"})
    assert list(found) == ["steer"]
    mine = found["steer"]
    assert [(row.task, row.action, row.features["x"]) for row in mine.rows] == [("t1", "fan", 0.0)]
    assert (mine.undecided, mine.asked, mine.cost.tokens_in) == (1, 2, 20)


def test_a_policy_that_never_decided_has_no_rows() -> None:
    assert answered([], {}, {"topology": "m"})["topology"].rows == []


@pytest.mark.parametrize(
    ("chances", "named"),
    [({"a": 0.6, "b": 0.4}, "a"), ({"a": 0.5, "b": 0.5}, None), ({"b": 1.0}, "b"), ({}, None)],
)
def test_most_likely(chances: dict[str, float], named: str | None) -> None:
    assert most_likely(chances) == named


def test_dev_and_holdout_are_not_learned_from() -> None:
    assert set(LEARNED_FROM) == {"search", "production"}
