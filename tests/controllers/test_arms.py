from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.arms import distribution, draw
from signatures.digest import seed_of
from signatures.errors import UsageError

ACTIONS = ("a", "b", "c", "d", "e")
LEGAL = st.lists(st.sampled_from(ACTIONS), min_size=1, unique=True)
WEIGHTS = st.dictionaries(st.sampled_from((*ACTIONS, "not legal")), st.floats(0, 1.7e308), max_size=6)
FLOORS = st.floats(0, 0.2)


@given(WEIGHTS, LEGAL, FLOORS)
def test_probabilities_sum_to_one_and_keep_the_floor(weights: dict[str, float], legal: list[str], floor: float) -> None:
    probabilities = distribution(weights, legal, floor=floor)
    assert list(probabilities) == legal
    assert math.isclose(sum(probabilities.values()), 1.0, rel_tol=1e-9)
    assert all(floor <= p <= 1 + 1e-12 for p in probabilities.values())


@given(WEIGHTS, LEGAL, FLOORS, st.integers(0, 2**63 - 1))
def test_a_draw_is_legal_and_a_function_of_its_arguments(
    weights: dict[str, float], legal: list[str], floor: float, seed: int
) -> None:
    drawn = draw(weights, legal, seed=seed, floor=floor)
    assert drawn == draw(weights, legal, seed=seed, floor=floor)
    assert drawn.action in legal
    assert 0 < drawn.propensity <= 1
    assert math.isclose(drawn.propensity, drawn.probabilities[drawn.action])


@given(LEGAL, st.integers(0, 2**63 - 1))
def test_what_has_no_weight_is_never_drawn_without_a_floor(legal: list[str], seed: int) -> None:
    weights = {legal[0]: 1e-300, "not legal": 5.0}
    assert draw(weights, legal, seed=seed) == (legal[0], 1.0, {legal[0]: 1.0, **dict.fromkeys(legal[1:], 0.0)})


@pytest.mark.parametrize(
    ("weights", "floor", "expected"),
    [
        ({"a": 3.0, "b": 1.0}, 0.0, {"a": 0.75, "b": 0.25}),
        ({"a": 3.0, "b": 1.0}, 0.1, {"a": 0.7, "b": 0.3}),
        ({"a": 1.0}, 0.05, {"a": 0.95, "b": 0.05}),
        ({}, 0.0, {"a": 0.5, "b": 0.5}),
        ({"x": 9.0}, 0.0, {"a": 0.5, "b": 0.5}),
        ({"a": 7.0}, 0.5, {"a": 0.5, "b": 0.5}),
        ({"a": 1e308, "b": 1e308}, 0.0, {"a": 0.5, "b": 0.5}),
        ({"a": 5e-324, "b": 0.0}, 0.0, {"a": 1.0, "b": 0.0}),
    ],
)
def test_weights_become_these_probabilities(
    weights: dict[str, float], floor: float, expected: dict[str, float]
) -> None:
    assert distribution(weights, ("a", "b"), floor=floor) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("floor", [0.0, 0.05, 0.2])
def test_a_propensity_is_the_long_run_frequency(floor: float) -> None:
    weights, n = {"a": 6.0, "b": 3.0, "c": 1.0}, 20_000
    drawn = [draw(weights, ("a", "b", "c", "d"), seed=seed_of("draw", k), floor=floor) for k in range(n)]
    expected = drawn[0].probabilities
    counts = {action: sum(one.action == action for one in drawn) for action in expected}
    chi_square = sum((counts[a] - n * p) ** 2 / (n * p) for a, p in expected.items() if p > 0)
    assert chi_square < 16.3  # the .999 point of chi-square with 3 degrees of freedom
    assert all(counts[a] == 0 for a, p in expected.items() if p == 0)
    assert all(one.propensity == expected[one.action] for one in drawn)


def test_the_ends_of_the_range_of_seeds_draw_the_first_and_the_last() -> None:
    weights = {"a": 1.0, "b": 1.0}
    assert [draw(weights, ("a", "b"), seed=seed).action for seed in (0, 2**62 - 1024, 2**62, 2**63 - 1)] == list("aabb")


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_no_amount_is_refused(bad: float) -> None:
    with pytest.raises(UsageError, match="finite and not negative"):
        distribution({"a": bad}, ("a", "b"))


@pytest.mark.parametrize(
    ("legal", "floor", "message"),
    [
        ((), 0.0, "no legal action"),
        (("a", "b", "a"), 0.0, "named twice"),
        (("a", "b"), 0.6, "floor of 0.6 cannot hold for 2"),
        (("a", "b"), -0.1, "floor of -0.1"),
    ],
)
def test_a_draw_that_cannot_be_is_refused(legal: tuple[str, ...], floor: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        distribution({"a": 1.0}, legal, floor=floor)
