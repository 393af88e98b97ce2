"""A family of controllers: every setting of its knobs loads, and the defaults are the start."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.baselines import control_arms, seed_candidate
from controllers.policies import View
from controllers.program import NAMES, controller_of
from controllers.scripted_engine import scripted_lm
from optimizers.knobs.family import Family
from optimizers.knobs.knob import Choice, Count, Knob, Level, Value, defaults
from optimizers.knobs.programs import Sketch
from optimizers.space import Space
from signatures.records import Candidate, Task

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
ARMS = control_arms(3, 3, ("look", "wait"), placebo=False)
PROGRAM = Candidate(components={"program": '{"source": "", "tier": "rule"}'})
ASKED, _ = scripted_lm(lambda prompt: "")
TASK = Task(digest="t", benchmark="b", prompt="p")
ANYTHING = st.one_of(st.none(), st.integers(-5, 50), st.floats(), st.text(max_size=4))


def wait_or_look(values: object) -> Candidate:
    """A sketch that needs no program to be written."""
    assert isinstance(values, dict) and set(values) == {"rounds"}
    return Candidate(
        components={**seed_candidate().components, "steer": ARMS[values["rounds"]].candidate.components["steer"]}
    )


SKETCHES = {"sketched": Sketch((Count("rounds", 1, 2, 1),), wait_or_look)}
RULED = Family(seed_candidate(), SPACE, 4)
WHOLE = Family(seed_candidate(), SPACE, 4, ASKED, SKETCHES)


def turned_to(knob: Knob) -> st.SearchStrategy[Value]:
    """Every value that a knob has."""
    match knob:
        case Choice():
            return st.sampled_from(knob.options)
        case Count():
            return st.integers(knob.low, knob.high)
        case Level():
            return st.floats(knob.low, knob.high)


SETTINGS = st.fixed_dictionaries({knob.name: turned_to(knob) for knob in WHOLE.knobs})


@given(SETTINGS)
@settings(max_examples=60, deadline=None)
def test_any_setting_is_a_controller_that_loads_and_decides(values: dict[str, Value]) -> None:
    candidate = WHOLE.candidate_of(values)
    controller = controller_of(candidate, ASKED)
    assert controller.candidate == candidate
    assert WHOLE.candidate_of(values) == candidate
    legal = {"stop": ("continue", "done"), "topology": ("fanout_1", "fanout_2"), "steer": SPACE.actions["steer"]}
    for name in NAMES:
        if controller.policies[name].tier == "rule":
            weights = asyncio.run(controller.policies[name].decide(View(TASK, {"attempts": 0.0}, legal[name])))
            assert any(weights.weights.values())


@given(st.dictionaries(st.sampled_from([knob.name for knob in WHOLE.knobs] + ["other"]), ANYTHING))
@settings(max_examples=60, deadline=None)
def test_any_values_at_all_are_a_controller(values: dict[str, object]) -> None:
    controller_of(WHOLE.candidate_of(values), ASKED)


def test_the_defaults_are_the_start_whatever_it_is() -> None:
    mixed = Candidate(
        components={
            **seed_candidate().components,
            "steer": WHOLE.candidate_of({"steer.tier": "frontier"}).components["steer"],
        }
    )
    for start in (*(arm.candidate for arm in ARMS), mixed, PROGRAM):
        for lm in (None, ASKED):
            family = Family(start, SPACE, 3, lm, SKETCHES)
            assert family.candidate_of(defaults(family.knobs)) == start
            assert family.candidate_of({}) == start
            assert family.turned({}) == {}


def test_from_any_start_there_is_a_way_to_rules() -> None:
    for start in (
        PROGRAM,
        Candidate(
            components={
                **seed_candidate().components,
                "steer": WHOLE.candidate_of({"steer.tier": "resident"}).components["steer"],
            }
        ),
    ):
        found = Family(start, SPACE, 3).candidate_of({"family": "rules", "steer.tier": "rule"})
        assert controller_of(found).candidate == found
        assert found == seed_candidate()


def test_a_model_is_offered_in_both_tiers_where_there_is_one() -> None:
    names = {knob.name for knob in RULED.knobs}
    assert not any(name.endswith(".tier") for name in names)
    found = WHOLE.candidate_of({"stop.tier": "resident", "steer.tier": "frontier"})
    tiers = {name: policy.tier for name, policy in controller_of(found, ASKED).policies.items()}
    assert tiers == {"stop": "resident", "topology": "rule", "steer": "frontier"}


def test_a_program_is_written_from_its_own_knobs() -> None:
    assert WHOLE.candidate_of({"family": "sketched", "sketched.rounds": 2, "stop.after": 1}) == wait_or_look(
        {"rounds": 2}
    )
    assert WHOLE.turned({"family": "sketched", "sketched.rounds": 2}).keys() == {"family", "sketched.rounds"}


def test_a_hypothesis_names_the_knobs_that_make_a_difference() -> None:
    values = {"stop.after": 2, "steer.at.own.lit": "look", "steer.where.errors": "errors <= 0.5"}
    assert RULED.turned(values) == {"stop.after": 2, "steer.at.own.lit": "look"}
    assert RULED.hypothesis(values) == (
        "A controller with stop.after 2 (start: 4), steer.at.own.lit look (start: off) does what nothing on the front "
        "does better."
    )
    assert RULED.hypothesis({}) == "The start itself."


def test_names_are_told_once_and_rules_need_only_a_space() -> None:
    names = [knob.name for knob in WHOLE.knobs]
    assert len(set(names)) == len(names)
    assert Family(seed_candidate(), SPACE, 4).knobs == RULED.knobs
