"""Counting decisions, tokens and money by tier."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.tiers.scoreboard import TierRow, by_period, by_run, row_of
from signatures.records import Amounts, Cost, Decision, Episode, WorkerFingerprint

FREE = Cost()


def episode(number: int, *, split: str = "search", condition: str = "c", candidate: str | None = "d" * 16) -> Episode:
    body = {
        "id": f"e{number}",
        "condition": condition,
        "candidate": candidate,
        "seed": 0,
        "split": split,
        "benchmark": "hand",
        "task_digest": "t",
        "worker": WorkerFingerprint(name="w"),
        "decision_ids": (),
        "attempt_ids": (),
        "selected_id": None,
        "granted": Amounts(),
        "spent": Amounts(),
    }
    return Episode.model_validate(body)


def decision(tier: str, cost: Cost = FREE) -> Decision:
    body = {"id": "d", "episode_id": "e", "step": 0, "policy": "stop", "features": {}, "legal": ("done",)}
    drawn = {"probabilities": {"done": 1.0}, "action": "done", "propensity": 1.0, "draw_seed": 1}
    return Decision.model_validate({**body, **drawn, "tier": tier, "policy_digest": "p", "cost": cost})


def amounts(row: TierRow) -> dict[str, tuple[int, int | None, float | None]]:
    return {one.tier: (one.decisions, one.tokens, one.usd) for one in row.tiers}


def test_a_rule_costs_nothing_and_what_nobody_measured_is_not_nothing() -> None:
    priced = Cost(tokens_in=90, tokens_out=10, usd=0.25)
    made = {"e0": [decision("rule"), decision("frontier", priced), decision("frontier", Cost(tokens_in=5))]}
    row = row_of("all", [episode(0)], {**made, "e1": [decision("resident")]})
    assert amounts(row) == {"frontier": (2, 105, 0.25), "resident": (0, 0, 0.0), "rule": (1, 0, 0.0)}
    assert next(one for one in row.tiers if one.tier == "frontier").unpriced == 1
    alone = row_of("all", [episode(1)], {"e1": [decision("resident")]})
    assert amounts(alone)["resident"] == (1, None, None)
    assert "tier/resident/tokens" not in alone.metrics() and alone.metrics()["tier/resident/share"] == 1.0


def test_a_rules_call_that_was_paid_for_is_counted() -> None:
    """A fallback's rule may carry what the model cost before it failed."""
    row = row_of("all", [episode(0)], {"e0": [decision("rule", Cost(tokens_in=7))]})
    assert amounts(row)["rule"] == (1, 7, 0.0)


def test_runs_are_told_apart_by_split_condition_and_candidate() -> None:
    episodes = [episode(0), episode(1, split="production"), episode(2, candidate=None), episode(3)]
    rows = by_run(episodes, {})
    assert [(row.name, row.episodes) for row in rows] == [
        ("search c dddddddd", 2),
        ("production c dddddddd", 1),
        ("search c", 1),
    ]
    assert rows[0].share("rule") is None and "tier/rule/share" not in rows[0].metrics()


@given(st.integers(1, 40), st.integers(1, 12))
def test_periods_hold_every_episode_once_in_order(episodes: int, periods: int) -> None:
    made = {f"e{n}": [decision("rule")] * n for n in range(episodes)}
    rows = by_period([episode(n) for n in range(episodes)], made, periods=periods)
    assert len(rows) <= periods and sum(row.episodes for row in rows) == episodes
    assert sum(row.decisions for row in rows) == sum(range(episodes))
    assert rows[0].name.startswith("1-") and rows[-1].name.endswith(f"-{episodes}")


@given(st.lists(st.sampled_from(["frontier", "resident", "rule"]), min_size=1, max_size=20))
def test_shares_add_up_to_one(tiers: list[str]) -> None:
    row = row_of("all", [episode(0)], {"e0": [decision(tier) for tier in tiers]})
    assert sum(row.share(one.tier) or 0.0 for one in row.tiers) == pytest.approx(1.0)
