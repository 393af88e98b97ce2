"""Success: bets that hold at any look, on tasks as the unit, with the gate's own noise in them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.drift.fallen import Success, lower_bound, success_drift
from optimizers.drift.records import Limits, SuccessDrift
from signatures.release import Level

WORLDS = 100
LEVELS = {"correct": Level(mean=0.8, n=200)}


def coins(rng: np.random.Generator, n: int, p: float, *, each: int = 1, name: str = "t") -> list[Success]:
    """Passes and fails; `each` episodes of a task come out alike."""
    flips = rng.random(n) < p
    return [Success(f"{name}{task}", {"correct": float(flip)}) for task, flip in enumerate(flips) for _ in range(each)]


def found(episodes: list[Success], reference: Mapping[str, Level] = LEVELS, **limits: float) -> SuccessDrift:
    drift = success_drift(reference, episodes, Limits.model_validate(limits))
    assert drift is not None
    return drift


def test_no_false_alarm_when_the_gate_was_lucky() -> None:
    """The gate's mean is drawn like production's; taken for the truth it would be an alarm in many of these worlds."""
    alarmed = naive = 0
    for seed in range(WORLDS):
        rng = np.random.default_rng(seed)
        gate = float((rng.random(40) < 0.6).mean())
        episodes = coins(rng, 300, 0.6)
        alarmed += found(episodes, {"correct": Level(mean=gate, n=40)}, tolerance=0).alarm
        naive += found(episodes, {"correct": Level(mean=gate, n=1_000_000)}, tolerance=0).alarm
    assert alarmed / WORLDS <= Limits().alpha / 2
    assert naive / WORLDS > 0.1


@pytest.mark.parametrize("late", [0, 300])
def test_a_fall_is_found_early_and_late(late: int) -> None:
    hits = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        good = coins(rng, late, 0.8, name="g")
        assert not late or not found(good).alarm
        hits += found([*good, *coins(rng, 200, 0.4)]).alarm
    assert hits >= 9


def test_a_task_that_fails_again_and_again_is_one_task() -> None:
    rng = np.random.default_rng(0)
    good = coins(rng, 60, 0.8)
    retried = [Success("hard", {"correct": 0.0})] * 300
    assert not found([*good, *retried]).alarm
    assert found([*good, *(Success(f"h{n}", {"correct": 0.0}) for n in range(300))]).alarm


def test_an_alarm_stays_and_says_from_where() -> None:
    rng = np.random.default_rng(1)
    episodes = [*coins(rng, 96, 0.9, name="g"), *coins(rng, 100, 0.2), *coins(rng, 400, 0.95, name="later")]
    first = found(episodes[:196]).objectives[0]
    assert first.alarm
    assert first.since is not None and 33 <= first.since <= 129
    assert all(found(episodes[:n]).alarm for n in range(196, 597, 80))


def test_what_was_not_measured_is_left_out() -> None:
    rng = np.random.default_rng(2)
    unsaid = [Success(f"u{n}", {"correct": None}) for n in range(200)]
    drift = found([*unsaid, *coins(rng, 50, 0.8)]).objectives[0]
    assert (drift.n, drift.alarm) == (50, False)
    assert found(unsaid).objectives[0].mean is None


def test_where_hardly_anything_passed_nothing_can_show_a_fall() -> None:
    drift = found([Success(f"t{n}", {"correct": 0.0}) for n in range(500)], {"correct": Level(mean=0.04, n=400)})
    assert drift.objectives[0].floor <= 0
    assert not drift.alarm


def test_the_first_objective_has_half_of_alpha() -> None:
    levels = {name: Level(mean=0.8, n=100) for name in ("correct", "fast", "cheap")}
    one, two, three = found([], levels).objectives
    assert (one.needed, two.needed, three.needed) == pytest.approx((160, 320, 320))
    assert found([]).objectives[0].needed == pytest.approx(80)
    assert success_drift({}, []) is None


@given(st.floats(0, 1) | st.just(1.0), st.integers(1, 500), st.floats(0.001, 0.2))
def test_the_lower_bound_is_where_the_chance_ends(mean: float, n: int, alpha: float) -> None:
    low = lower_bound(Level(mean=mean, n=n), alpha)
    assert mean - math.sqrt(-math.log(alpha) / 2 / n) - 1e-9 <= low <= mean  # Hoeffding's simpler bound is below it
    assert low >= 0
    if mean == 1.0:
        assert low == pytest.approx(alpha ** (1 / n), abs=1e-9)


def test_the_lower_bound_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    missed = np.mean(
        [lower_bound(Level(mean=float((rng.random(30) < 0.6).mean()), n=30), 0.05) > 0.6 for _ in range(400)]
    )
    assert missed <= 0.05
