"""The built-in programs as sketches: every setting is a program that loads."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.program import controller_of
from controllers.programs import builtin
from optimizers.knobs.family import Family
from optimizers.knobs.knob import Choice, Value
from optimizers.knobs.programs import built_in
from optimizers.space import Space
from signatures.records import Candidate

SPACE = Space(
    thresholds={"own.lit": (0.5,)},
    actions={
        "stop": ("continue", "done"),
        "topology": ("refine_last", "fanout_1"),
        "steer": ("none", "look", "two words"),
    },
)
SKETCHES = built_in(SPACE)
START = Candidate(components=dict(builtin.refine("look").components))
FAMILY = Family(START, SPACE, 4, sketches=SKETCHES)


@given(st.sampled_from(sorted(SKETCHES)), st.integers(1, 4), st.sampled_from(("none", "look")))
@settings(max_examples=40, deadline=None)
def test_every_setting_is_a_program_that_loads(name: str, number: int, action: str) -> None:
    knobs = {knob.name: action if isinstance(knob.default, str) else number for knob in SKETCHES[name].knobs}
    values: dict[str, Value] = {"family": name, **{f"{name}.{knob}": value for knob, value in knobs.items()}}
    candidate = FAMILY.candidate_of(values)
    assert set(candidate.components) == {"program"}
    assert controller_of(candidate).candidate == candidate


def test_parameters_reach_the_program() -> None:
    assert FAMILY.candidate_of(
        {"family": "adaptive_refine", "adaptive_refine.action": "look", "adaptive_refine.patience": 3}
    ) == builtin.adaptive_refine("look", patience=3)
    assert FAMILY.candidate_of({"family": "cascade", "cascade.cheap": 2}) == builtin.cascade("none", cheap=2)
    assert FAMILY.candidate_of({"family": "sample_then_refine", "sample_then_refine.fresh": 3}) == (
        builtin.sample_then_refine("none", fresh=3)
    )
    assert FAMILY.candidate_of({"family": "sample"}) == builtin.sample()


def test_a_program_that_a_search_starts_from_is_its_default() -> None:
    assert FAMILY.candidate_of({}) == START


def test_what_a_program_cannot_name_is_no_option_of_it() -> None:
    options = {knob.options for sketch in SKETCHES.values() for knob in sketch.knobs if isinstance(knob, Choice)}
    assert options == {("none", "look")}
    nameless = Space(SPACE.thresholds, {**SPACE.actions, "steer": ("two words",)})
    assert set(built_in(nameless)) == {"sample"}
