"""Demos: decisions after which the checkers improved, balanced over actions, drawn by a seed."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from controllers.moves import STOP
from controllers.policies import View
from controllers.program import controller_of, lm_component
from controllers.scripted_engine import scripted_lm
from optimizers.demos import MOST_CHARS, DemoPlan, Told, demo_sets
from optimizers.evidence.reflection import Reflection
from signatures.digest import canonical_json
from signatures.policies import signature_of
from signatures.records import Candidate, PolicyName, Task
from tests.worlds.lab import STEERS, Lab, with_components

PLAN = DemoPlan(sets=4, size=3, steer_legal=STEERS, seed=0)
ACTIONS: dict[PolicyName, tuple[str, ...]] = {
    "stop": ("continue",),
    "topology": ("refine_last", "refine_best", "fanout_1", "fanout_3"),
    "steer": (*STEERS, "text"),
}


def told(number: int, action: str = "fan", gain: float = 0.5, policy: PolicyName = "steer", **fields: object) -> Told:
    features = {"attempts_left": 2.0, "stalled": 0.0}
    move = Reflection.model_validate(
        {
            "policy": policy,
            "features": features,
            "action": action,
            "gain": gain,
            "turns": 1,
            "before": ("saw",),
            **fields,
        }
    )
    return Told(Task(digest=f"t{number}", benchmark="b", prompt=f"repair {number}"), move)


@st.composite
def some_told(draw: st.DrawFn) -> Told:
    policy: PolicyName = draw(st.sampled_from(("stop", "topology", "steer")))
    return told(
        draw(st.integers(0, 5)),
        draw(st.sampled_from(ACTIONS[policy])),
        draw(st.floats(-1, 1)),
        policy,
        features={"attempts_left": float(draw(st.integers(0, 5))), "best_passed": float(draw(st.booleans()))},
        before=tuple(draw(st.lists(st.text(max_size=900), max_size=5))),
        foreign=draw(st.booleans()),
    )


@given(st.lists(some_told(), max_size=30), st.integers(0, 3), st.sampled_from(("stop", "topology", "steer")))
def test_what_a_set_holds(moves: list[Told], size: int, policy: PolicyName) -> None:
    plan = DemoPlan(sets=4, size=size, steer_legal=STEERS, seed=1)
    sets = demo_sets(moves, policy, plan)
    assert sets == demo_sets(moves, policy, plan)
    assert sets[0] == [] and 1 <= len(sets) <= 4
    fields = {"augmented", *signature_of(policy).model_fields}
    good = [one for one in moves if one.move.policy == policy and not one.move.foreign]
    for demos in sets:
        assert len(demos) <= size
        assert len({demo["task"] for demo in demos}) == len(demos)
        for demo in demos:
            assert demo.keys() == fields
            legal, action, sure = demo["legal"], demo["action"], demo["confidence"]
            assert isinstance(legal, list) and action in legal
            assert isinstance(sure, float) and 0.5 <= sure <= 1
            shown = demo["observations"]
            assert isinstance(shown, list) and sum(len(str(line)) for line in shown) <= MOST_CHARS
            source = [one for one in good if one.task.prompt == demo["task"]]
            if action == "done":
                assert any(one.move.features["best_passed"] and one.move.gain <= 0 for one in source)
            else:
                assert any(one.move.action == action and one.move.gain > 0 for one in source)


def test_actions_come_in_equal_shares_and_sets_differ() -> None:
    moves = [told(n, action) for n, action in enumerate(["fan"] * 20 + ["pump"] * 2 + ["core"] * 8)]
    _, *sets = demo_sets(moves, "steer", DemoPlan(sets=5, size=6, steer_legal=STEERS, seed=0))
    assert [Counter(demo["action"] for demo in demos) for demos in sets] == [{"fan": 2, "pump": 2, "core": 2}] * 4
    assert len({canonical_json(demos) for demos in sets}) == 4
    other = demo_sets(moves, "steer", DemoPlan(sets=5, size=6, steer_legal=STEERS, seed=1))
    assert other[1:] != sets


def test_the_confidence_says_how_often_the_action_improved_anything() -> None:
    moves = [told(0), told(1, gain=0.0), told(2, gain=-1.0), told(3, gain=0.0), told(4, "pump")]
    demos = demo_sets(moves, "steer", PLAN)[1]
    assert {(demo["action"], demo["confidence"]) for demo in demos} == {("fan", 0.62), ("pump", 1.0)}


def test_stopping_is_shown_where_going_on_after_a_pass_changed_nothing() -> None:
    passed = {"best_passed": 1.0, "attempts_left": 1.0}
    moves = [
        told(0, "continue", 0.5, "stop"),
        told(1, "continue", 0.0, "stop"),
        told(2, "continue", 0.0, "stop", features=passed),
    ]
    demos = demo_sets(moves, "stop", PLAN)[1]
    assert {(demo["task"], demo["action"]) for demo in demos} == {("repair 0", "continue"), ("repair 2", "done")}
    assert all(demo["legal"] == list(STOP) for demo in demos)


def test_without_an_improvement_there_is_the_empty_set_alone() -> None:
    assert demo_sets([told(0, gain=0.0), told(1, gain=-0.5)], "steer", PLAN) == [[]]
    assert demo_sets([], "topology", PLAN) == [[]]


def test_a_long_observation_is_left_out_whole() -> None:
    before = ("old", "x" * (MOST_CHARS + 1), "new")
    demos = demo_sets([told(0, before=before)], "steer", PLAN)[1]
    assert demos[0]["observations"] == ["old", "new"]


async def test_a_policy_takes_the_demos_of_recorded_trees_and_shows_them(lab: Lab) -> None:
    tasks = lab.benchmark.tasks("search")[:6]
    replay = await lab.replay(tasks)
    moves = [Told(task, move) for task in tasks for move in replay.moves(task.digest)]
    lm, engine = scripted_lm(lambda prompt: "[[ ## action ## ]]\nfan\n\n[[ ## confidence ## ]]\n0.9")
    sets = demo_sets(moves, "steer", PLAN)
    assert [len(demos) for demos in sets] == [0, 3, 3, 3]
    controller = controller_of(with_components(steer=lm_component("steer", lm)), lm)
    (_, predict), *_ = controller.named_parameters()
    predict.demos = sets[1]
    again = controller_of(Candidate(components=controller.candidate.components), lm)
    assert again.candidate == controller.candidate
    answer = await again.policies["steer"].decide(View(tasks[0], {"stalled": 1.0}, STEERS))
    assert max(answer.weights, key=lambda action: answer.weights[action]) == "fan"
    for demo in sets[1]:
        assert str(demo["task"]) in engine.prompts[0]
        assert json.dumps(demo["observations"], ensure_ascii=False) in engine.prompts[0]
