"""The mapping rule: common features stay, foreign ones never fire, foreign actions become `rule`."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controllers.baselines import STOP_WHEN_PASSED, control_arms, seed_candidate
from controllers.program import rule_component
from experiments.transfer.carrying import carry, is_foreign
from signatures.records import Candidate

HERE = ("none", "look", "undo", "rule")
THERE = ("none", "undo", "reword", "rule")


def when(feature: str, **then: float) -> dict[str, object]:
    return {"when": [{"feature": feature, "op": ">", "value": 0.5}], "then": then}


def controller(*rules: dict[str, object], otherwise: dict[str, float] | None = None) -> Candidate:
    components = dict(seed_candidate().components)
    return Candidate(components={**components, "steer": rule_component(list(rules), otherwise or {"none": 1.0})})


def steer_of(candidate: Candidate) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(candidate.components["steer"])
    return found


def test_an_action_that_the_table_lacks_becomes_rule_and_a_shared_one_stays() -> None:
    learned = controller(when("stalled", look=2.0, rule=1.0), when("errors", undo=1.0), otherwise={"look": 1.0})
    found = carry(learned, benchmark="there", legal=THERE)
    steer = steer_of(found.candidate)
    assert [rule["then"] for rule in steer["rules"]] == [{"rule": 3.0}, {"undo": 1.0}]
    assert steer["otherwise"] == {"rule": 1.0}
    assert found.mapped == {"look": "rule"}
    assert found.said() == "look became rule"


def test_without_a_table_nothing_can_be_said() -> None:
    found = carry(controller(otherwise={"look": 1.0}), benchmark="there", legal=("none",))
    assert steer_of(found.candidate)["otherwise"] == {"none": 1.0}


def test_rules_on_features_that_are_never_observed_there_are_left_out() -> None:
    asked = ("here.lit", "untried.look", "untried.undo", "repeats")
    learned = controller(*(when(feature, undo=1.0) for feature in asked))
    found = carry(learned, benchmark="there", legal=THERE)
    kept = [rule["when"][0]["feature"] for rule in steer_of(found.candidate)["rules"]]
    assert kept == ["untried.undo", "repeats"]
    assert found.silent == ("here.lit", "untried.look")
    assert found.left_out == 2


def test_topology_and_stop_are_carried_over() -> None:
    components = dict(seed_candidate().components)
    components["stop"] = rule_component([*STOP_WHEN_PASSED, when("here.lit", done=1.0)], {"continue": 1.0})
    found = carry(Candidate(components=components), benchmark="there", legal=THERE)
    assert found.candidate == seed_candidate()


def test_what_a_feature_is_of() -> None:
    asked = ("correct", "stalled", "untried.undo", "untried.look", "last.reword", "last.look", "there.a.b", "here.a")
    assert [one for one in asked if is_foreign(one, benchmark="there", legal=THERE)] == [
        "untried.look",
        "last.look",
        "here.a",
    ]


FEATURES = st.sampled_from(["correct", "here.lit", "there.lit", "untried.look", "untried.reword", "last.undo"])
ACTIONS = st.dictionaries(st.sampled_from(HERE), st.floats(0.1, 4.0), min_size=1)


@given(rules=st.lists(st.tuples(FEATURES, ACTIONS), max_size=5), otherwise=ACTIONS)
def test_at_home_nothing_changes_and_carried_twice_is_carried_once(
    rules: list[tuple[str, dict[str, float]]], otherwise: dict[str, float]
) -> None:
    own = [when(feature, **then) for feature, then in rules if feature != "there.lit" and "reword" not in feature]
    learned = controller(*own, otherwise=otherwise)
    home = carry(learned, benchmark="here", legal=HERE)
    assert (home.candidate.digest, home.said()) == (learned.digest, "unchanged")
    away = carry(controller(*(when(f, **t) for f, t in rules), otherwise=otherwise), benchmark="there", legal=THERE)
    again = carry(away.candidate, benchmark="there", legal=THERE)
    assert (again.candidate.digest, again.mapped, again.silent) == (away.candidate.digest, {}, ())
    drawn = steer_of(away.candidate)
    assert all(set(rule["then"]) <= set(THERE) for rule in drawn["rules"])


def test_the_frozen_controller_is_the_same_everywhere() -> None:
    assert carry(seed_candidate(), benchmark="there", legal=THERE).candidate.digest == seed_candidate().digest
    for arm in control_arms(3, 3, ["rule"], placebo=False):
        assert carry(arm.candidate, benchmark="there", legal=THERE).said() == "unchanged"
