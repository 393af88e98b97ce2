"""What an episode with exploration says of the controller without it: weights that give the unexplored mean."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.arms import draw
from controllers.moves import STOP
from optimizers.drift.explored import most_weight, weight_of
from optimizers.drift.fallen import Success, success_drift
from optimizers.drift.records import Limits
from signatures.records import Amounts, Decision
from signatures.release import Level
from tests.worlds.shipped import ship

STEERS = ("none", "fan", "pump", "valve", "core")
RATE = 0.05


def drawn(weights: dict[str, float], legal: tuple[str, ...], seed: int, rate: float = RATE) -> Decision:
    found = draw(weights, legal, seed=seed, floor=rate)
    return Decision(
        id=f"d{seed}",
        episode_id="e",
        step=0,
        policy="steer",
        features={},
        legal=legal,
        probabilities=found.probabilities,
        action=found.action,
        propensity=found.propensity,
        draw_seed=seed,
        tier="rule",
        policy_digest="p",
    )


def wanted(legal: Iterable[str]) -> Decision:
    """A draw of the one action that the policy wants."""
    first, *others = legal
    return drawn({first: 1.0}, (first, *others), 0)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8).filter(any), st.floats(0, 0.12))
def test_the_weights_of_a_draw_have_the_mean_1(weights: list[float], rate: float) -> None:
    legal = tuple(f"a{n}" for n in range(len(weights)))
    given_weights = dict(zip(legal, weights, strict=True))
    one = drawn(given_weights, legal, 1, rate)
    of_each = {
        action: weight_of([one.model_copy(update={"action": action, "propensity": p})], rate)
        for action, p in one.probabilities.items()
        if p > 0
    }
    mean = math.fsum(one.probabilities[action] * (weight or 0.0) for action, weight in of_each.items())
    assert mean == pytest.approx(1.0, abs=1e-6)
    bound = 1 / max(rate, 1 - rate * (len(legal) - 1))
    assert all(weight is not None and weight <= bound + 1e-9 for weight in of_each.values())


def test_without_exploration_every_weight_is_1_and_a_departure_has_none() -> None:
    plain = drawn({"fan": 1.0}, STEERS, 3, 0.0)
    assert weight_of([plain], 0.0) == weight_of([plain], RATE) == weight_of([], RATE) == 1.0
    made = [drawn({"fan": 1.0}, STEERS, place * 2**63 // 100) for place in range(100)]
    assert {one.action for one in made} == set(STEERS)
    assert all((weight_of([one], RATE) == 0) == (one.action != "fan") for one in made)


def test_a_draw_in_which_the_policy_had_no_say_cannot_be_weighted() -> None:
    assert weight_of([drawn({"fan": 1.0}, STEERS, 3, 0.2)], 0.2) is None


def test_no_episode_weighs_more_than_the_release_allows(tmp_path: Path) -> None:
    release = ship(tmp_path / "a", granted=Amounts(attempts=3), steer_legal=STEERS, exploration=RATE)
    longest = [
        wanted("abc"),  # one, two or three attempts
        *(drawn({"continue": 1.0}, STOP, 0), wanted("abcd"), wanted(STEERS)),
        *(drawn({"continue": 1.0}, STOP, 0), wanted("abc"), wanted(STEERS)),
    ]
    most = most_weight(release)
    assert most is not None and weight_of(longest, RATE) == pytest.approx(most)
    assert most_weight(ship(tmp_path / "b", exploration=0.0)) == 1.0
    assert most_weight(ship(tmp_path / "c", granted=Amounts(turns=9), exploration=RATE)) is None


def explored(rng: np.random.Generator, n: int, p: float, lost: float, weight: float) -> list[Success]:
    """Episodes of which exploration takes 1 - 1 / weight elsewhere, where p is less by `lost`."""
    off = rng.random(n) > 1 / weight
    flips = rng.random(n) < np.where(off, p - lost, p)
    return [
        Success(f"t{k}", {"correct": float(flip)}, 0.0 if elsewhere else weight)
        for k, (flip, elsewhere) in enumerate(zip(flips, off, strict=True))
    ]


def test_what_exploration_costs_is_no_drift_and_a_fall_is_found_all_the_same() -> None:
    gate = {"correct": Level(mean=0.9, n=200)}
    alarms = {"weighted": 0, "plain": 0, "fallen": 0}
    for seed in range(40):
        same = explored(np.random.default_rng(seed), 500, 0.9, 0.5, 2.0)
        worse = explored(np.random.default_rng(seed), 500, 0.6, 0.3, 2.0)
        plain = [one._replace(weight=1.0) for one in same]
        for name, episodes in (("weighted", same), ("plain", plain), ("fallen", worse)):
            found = success_drift(gate, episodes, Limits(), most=2.5)
            assert found is not None
            alarms[name] += found.alarm
    assert (alarms["weighted"], alarms["plain"], alarms["fallen"]) == (0, 40, 40)


def test_an_episode_of_more_weight_than_was_registered_is_left_out() -> None:
    episodes = explored(np.random.default_rng(0), 200, 0.5, 0.1, 2.0)
    found = success_drift({"correct": Level(mean=0.9, n=200)}, episodes, most=1.5)
    assert found is not None
    one = found.objectives[0]
    assert (one.n, one.unmeasured) == (found.explored, 200 - found.explored) and not one.alarm
    unbounded = success_drift({"correct": Level(mean=0.9, n=200)}, episodes, most=None)
    assert unbounded is not None and not unbounded.alarm
