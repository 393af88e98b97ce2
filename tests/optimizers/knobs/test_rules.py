"""The lists that knob values stand for."""

from __future__ import annotations

import pytest

from controllers.baselines import seed_candidate
from controllers.policies import View
from controllers.policies.rule import RuleList, RulePolicy, parse_rules
from controllers.program import NAMES
from optimizers.knobs.knob import Value, defaults
from optimizers.knobs.rules import MOST_OBSERVED, Lists, said
from optimizers.space import Space
from signatures.records import PolicyName, Task

SPACE = Space(
    thresholds={
        "attempts": (1.5,),
        "errors": (0.5,),
        "last.look": (0.5,),
        "own.lit": (0.5, 1.5),
        "untried.look": (0.5,),
    },
    actions={"stop": ("continue", "done"), "topology": ("refine_last", "fanout_1"), "steer": ("none", "look", "wait")},
)
OWN: dict[PolicyName, RuleList] = {name: parse_rules(seed_candidate().components[name]) for name in NAMES}
LISTS = Lists(SPACE, 4, OWN)
TASK = Task(digest="t", benchmark="b", prompt="p")
LEGAL = ("refine_last", "fanout_1", "fanout_2", "fanout_3")


def at(**changed: Value) -> dict[str, Value]:
    """The defaults with some knobs turned; `__` stands for a dot."""
    knobs = (*LISTS.stop_knobs(), *LISTS.topology_knobs(), *LISTS.steer_knobs())
    turned = {name.replace("__", "."): value for name, value in changed.items()}
    assert turned.keys() <= defaults(knobs).keys()
    return {**defaults(knobs), **turned}


async def decided(rules: RuleList, legal: tuple[str, ...], **features: float) -> str:
    """What a list does."""
    view = View(TASK, {name.replace("__", "."): value for name, value in features.items()}, legal)
    weights = (await RulePolicy(rules).decide(view)).weights
    return max(weights, key=lambda action: weights[action])


def test_the_defaults_are_the_start() -> None:
    assert LISTS.stop(at()) == OWN["stop"]
    assert LISTS.topology(at()) == OWN["topology"]
    assert LISTS.steer(at()) == OWN["steer"]


@pytest.mark.parametrize(
    ("turned", "features", "expected"),
    [
        ({"stop__after": 2}, {"attempts": 2, "passed": 0}, "done"),
        ({"stop__after": 2}, {"attempts": 1, "passed": 0}, "continue"),
        ({"stop__stalled": 1}, {"attempts": 2, "stalled": 1, "passed": 0}, "done"),
        ({"stop__stalled": 1}, {"attempts": 2, "stalled": 0, "passed": 0}, "continue"),
        ({"stop__correct": 0.5}, {"correct": 0.6, "passed": 0}, "done"),
        ({"stop__turns_left": 0.5}, {"turns_left": 0.4, "passed": 0}, "done"),
        ({"stop__seen": "own.lit > 1.5"}, {"own__lit": 2, "passed": 0}, "done"),
        ({}, {"passed": 1}, "done"),
        ({"stop__base": "never"}, {"passed": 1}, "continue"),
    ],
)
async def test_when_it_stops(turned: dict[str, Value], features: dict[str, float], expected: str) -> None:
    assert await decided(LISTS.stop(at(**turned)), ("continue", "done"), **features) == expected


async def test_fresh_attempts_at_first_and_where_nothing_improves() -> None:
    first = LISTS.topology(at(topology__first=3, topology__restart=2))
    assert await decided(first, LEGAL, attempts=0) == "fanout_3"
    assert await decided(first, LEGAL, attempts=3, stalled=1) == "refine_last"
    assert await decided(first, LEGAL, attempts=3, stalled=2) == "fanout_1"


async def test_the_best_is_gone_on_from_where_it_is_not_the_last() -> None:
    best = LISTS.topology(at(topology__base="refine_best"))
    assert await decided(best, LEGAL, attempts=0) == "fanout_1"
    assert await decided(best, LEGAL, attempts=2) == "refine_last"
    assert await decided(best, ("refine_last", "refine_best", "fanout_1"), attempts=2) == "refine_best"


async def test_an_observation_has_an_action_of_its_own() -> None:
    steer = LISTS.steer(at(**{"steer__at__own.lit": "look", "steer__where__own.lit": "own.lit <= 0.5"}))
    assert await decided(steer, SPACE.actions["steer"], own__lit=0) == "look"
    assert await decided(steer, SPACE.actions["steer"], own__lit=1) == "none"
    assert await decided(LISTS.steer(at(steer__base="wait")), SPACE.actions["steer"], own__lit=0) == "wait"


def test_the_benchmarks_own_features_come_first_and_counted_ones_have_no_action() -> None:
    assert LISTS.observed() == ("own.lit", "untried.look", "errors", "last.look")
    many = Space(thresholds={f"own.{n:02d}": (0.5,) for n in range(40)}, actions=SPACE.actions)
    assert len(Lists(many, 4, OWN).observed()) == MOST_OBSERVED


def test_conditions_are_told_apart() -> None:
    conditions = SPACE.conditions()
    assert len({said(one) for one in conditions}) == len(conditions)


def test_without_a_list_to_start_from_there_is_no_such_option() -> None:
    bare = Lists(SPACE, 1, {})
    for knob in (*bare.stop_knobs(), *bare.topology_knobs(), *bare.steer_knobs()):
        assert knob.default != "start"
    values = defaults((*bare.stop_knobs(), *bare.topology_knobs(), *bare.steer_knobs()))
    assert bare.stop(values) == OWN["stop"]
    assert bare.topology(values) == OWN["topology"]
    assert bare.steer(values) == OWN["steer"]
