"""The space of rule lists: every edit loads, no list outgrows a reader."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.baselines import seed_candidate
from controllers.policies.rule import Condition, Rule, parse_rules
from controllers.program import controller_of
from controllers.programs import builtin
from optimizers.evidence.reflection import Reflection
from optimizers.space import (
    MOST_RULES,
    MOST_THRESHOLDS,
    Space,
    random_edit,
    space_of,
    with_default,
    with_rule,
    without_rule,
)
from signatures.errors import UsageError
from signatures.records import Candidate, PolicyName
from tests.worlds.lab import ACTIONS

SPACE = Space(thresholds={"correct": (0.25, 0.75), "stalled": (0.5,)}, actions=ACTIONS)
FINITE = st.floats(-1e6, 1e6, allow_nan=False)


def moved(**features: float) -> Reflection:
    return Reflection(policy="steer", features=features, action="none", gain=0.0, turns=1)


def test_another_benchmarks_moves_add_values_and_no_feature() -> None:
    own = [moved(correct=0.0, attempts=1.0), moved(correct=1.0, attempts=1.0)]
    elsewhere = {"origin": "gauges search", "foreign": True}
    foreign = moved(correct=0.5, attempts=3.0, gauge=1.0).model_copy(update=elsewhere)
    other = moved(correct=0.5, gauge=0.0).model_copy(update=elsewhere)
    assert space_of([*own, foreign, other], ACTIONS).thresholds == {"correct": (0.25, 0.75), "attempts": (2.0,)}
    assert space_of([foreign, other], ACTIONS).thresholds == {}
    ours = moved(correct=0.5, gauge=1.0).model_copy(update={"origin": "planted production"})
    assert "gauge" in space_of([*own, ours], ACTIONS).thresholds


def rule(feature: str, value: float, action: str) -> Rule:
    return Rule(when=(Condition(feature=feature, op=">", value=value),), then={action: 1.0})


def rules_of(candidate: Candidate, component: PolicyName = "steer") -> tuple[Rule, ...]:
    return parse_rules(candidate.components[component]).rules


@given(rows=st.lists(st.dictionaries(st.sampled_from(["a", "b"]), FINITE), max_size=30))
def test_thresholds_stand_between_observed_values(rows: list[dict[str, float]]) -> None:
    space = space_of([moved(**row) for row in rows], ACTIONS)
    for feature in ("a", "b"):
        values = sorted({row.get(feature, 0.0) for row in rows if any(feature in other for other in rows)})
        thresholds = space.thresholds.get(feature, ())
        assert len(thresholds) == min(MOST_THRESHOLDS, max(0, len(values) - 1))
        assert list(thresholds) == sorted(set(thresholds))
        for threshold in thresholds:
            assert any(value <= threshold for value in values) and any(value >= threshold for value in values)
            low, high = max(v for v in values if v <= threshold), min(v for v in values if v >= threshold)
            assert threshold == (low + high) / 2 or low == high


def test_a_feature_that_is_only_ever_seen_true_is_a_condition_too() -> None:
    moves = [moved(**{"last.undo": 1.0}), moved(stalled=1.0)]
    assert space_of(moves, ACTIONS).thresholds == {"last.undo": (0.5,), "stalled": (0.5,)}


def test_few_values_get_every_midpoint_and_many_are_thinned_by_rank() -> None:
    assert space_of([moved(a=value) for value in (0.0, 1.0, 4.0)], ACTIONS).thresholds == {"a": (0.5, 2.5)}
    many = space_of([moved(a=float(value)) for value in range(100)], ACTIONS).thresholds["a"]
    assert many == (0.5, 33.5, 65.5, 98.5)


def test_what_never_varied_is_no_condition() -> None:
    assert space_of([moved(a=1.0, b=2.0), moved(a=1.0, b=3.0)], ACTIONS).thresholds == {"b": (2.5,)}
    assert space_of([], ACTIONS).conditions() == []


def test_conditions_come_in_a_fixed_order() -> None:
    told = [(c.feature, c.op, c.value) for c in SPACE.conditions()]
    assert told == [
        ("correct", "<=", 0.25),
        ("correct", ">", 0.25),
        ("correct", "<=", 0.75),
        ("correct", ">", 0.75),
        ("stalled", "<=", 0.5),
        ("stalled", ">", 0.5),
    ]


def test_a_new_rule_is_first_and_replaces_one_with_its_condition() -> None:
    first = with_rule(seed_candidate(), "steer", rule("correct", 0.25, "fan"))
    second = with_rule(first, "steer", rule("stalled", 0.5, "core"))
    third = with_rule(second, "steer", rule("correct", 0.25, "pump"))
    assert rules_of(third) == (rule("correct", 0.25, "pump"), rule("stalled", 0.5, "core"))
    for other in ("stop", "topology"):
        assert third.components[other] == seed_candidate().components[other]


def test_old_rules_fall_off_the_end() -> None:
    candidate = seed_candidate()
    for number in range(MOST_RULES + 3):
        candidate = with_rule(candidate, "steer", rule("correct", float(number), "fan"))
    values = [one.when[0].value for one in rules_of(candidate)]
    assert values == [float(n) for n in range(MOST_RULES + 2, 2, -1)]


def test_default_and_removal_touch_nothing_else() -> None:
    candidate = with_rule(seed_candidate(), "steer", rule("correct", 0.25, "fan"))
    changed = with_default(candidate, "steer", "core")
    assert rules_of(changed) == rules_of(candidate)
    assert parse_rules(changed.components["steer"]).otherwise == {"core": 1.0}
    assert without_rule(candidate, "steer", 0) == seed_candidate()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 40))
def test_any_chain_of_random_edits_loads_and_stays_readable(seed: int, steps: int) -> None:
    rng, candidate = random.Random(seed), seed_candidate()
    for _ in range(steps):
        candidate = random_edit(candidate, SPACE, rng)
    controller = controller_of(candidate)
    assert controller.candidate == candidate
    for name, text in candidate.components.items():
        body = json.loads(text)
        assert len(body["rules"]) <= MOST_RULES
        named = {action for one in body["rules"] for action in one["then"]} | set(body["otherwise"])
        assert named <= {*SPACE.actions[name], "done", "continue", "fanout_1", "refine_last", "none"}


def test_random_edits_reach_every_component_and_kind() -> None:
    rng = random.Random(0)
    reached: set[str] = set()
    for _ in range(200):
        child = random_edit(seed_candidate(), SPACE, rng)
        for name, text in child.components.items():
            before, after = parse_rules(seed_candidate().components[name]), parse_rules(text)
            if len(after.rules) > len(before.rules):
                reached.add(f"{name} rule")
            elif len(after.rules) < len(before.rules):
                reached.add(f"{name} drop")
            elif after.otherwise != before.otherwise:
                reached.add(f"{name} default")
    assert reached == {
        "stop rule",
        "stop drop",
        "stop default",
        "topology rule",
        "topology drop",
        "topology default",
        "steer rule",
        "steer default",
    }


def test_an_empty_space_still_has_defaults_to_change() -> None:
    empty = Space(thresholds={}, actions=ACTIONS)
    for seed in range(20):
        controller_of(random_edit(seed_candidate(), empty, random.Random(seed)))


@pytest.mark.parametrize("seed", [0, 1])
def test_an_edit_is_a_function_of_its_seed(seed: int) -> None:
    first, second = (random_edit(seed_candidate(), SPACE, random.Random(seed)) for _ in range(2))
    assert first == second


def test_a_program_has_no_rules_to_edit() -> None:
    program = builtin.sample()
    with pytest.raises(UsageError, match="stop: this candidate is program: it has no rules to edit"):
        with_default(program, "stop", "done")
    with pytest.raises(UsageError, match="no rules to edit"):
        random_edit(program, SPACE, random.Random(1))
