from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable
from typing import Any

import dspy
import pytest

from controllers.policies import View
from controllers.policies.constant import ConstantPolicy
from controllers.policies.lm import LMPolicy
from controllers.policies.rule import RulePolicy
from controllers.program import (
    NAMES,
    Controller,
    controller_of,
    lm_component,
    loads,
    policy_of,
    rule_component,
)
from controllers.scripted_engine import scripted_lm
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.policies import Topology, schema_digest, signature_of
from signatures.records import Candidate, PolicyName
from tests.controllers.parts import PASSED, a_task, action_text, climbing, rules, seen

STOP_RULE = rules({"continue": 1.0}, when=PASSED)


def a_model(answer: str = "refine_last", confidence: float = 0.8) -> dspy.LM:
    return scripted_lm(lambda prompt: action_text(answer, confidence))[0]


def mixed(lm: dspy.LM) -> Controller:
    """Stop by rule, topology by a model with instructions and a demo of its own, steer by a constant."""
    topology = LMPolicy("topology", lm, tier="resident", instructions="Go on from the last one.")
    topology.predict.demos = [dspy.Example(task="t", action="fanout_1", confidence=0.5)]
    stop = policy_of("stop", STOP_RULE, None)
    return Controller(stop=stop, topology=topology, steer=ConstantPolicy({"none": 1.0}))


def saved(controller: Controller, change: Callable[[dict[str, Any]], object] = lambda body: None) -> str:
    """The saved text after `change`, signed again, so that only what the change broke is wrong."""
    body = json.loads(controller.dumps())
    del body["digest"]
    change(body)
    return json.dumps({**body, "digest": digest_of(body)})


async def decisions(controller: Controller) -> list[dict[str, float]]:
    features = {"passed": 1.0, "attempts": 1.0}
    legal = {"stop": ("continue", "done"), "topology": ("refine_last", "fanout_1"), "steer": ("none", "up")}
    views = {name: View(a_task(), features, legal[name], (seen(0, correct=1.0),)) for name in NAMES}
    return [dict((await controller.policies[name].decide(views[name])).weights) for name in NAMES]


async def test_a_controller_of_mixed_tiers_makes_the_round_trip() -> None:
    controller = mixed(a_model())
    loaded = loads(controller.dumps(), a_model())
    assert loaded.digest == controller.digest
    assert loaded.candidate == controller.candidate
    assert [loaded.policies[name].tier for name in NAMES] == ["rule", "resident", "rule"]
    assert loaded.dumps() == controller.dumps()
    expected = [{"done": 1.0}, {"refine_last": 0.8, "fanout_1": pytest.approx(0.2)}, {"none": 1.0}]
    assert await decisions(controller) == await decisions(loaded) == expected


def test_a_demo_and_the_instructions_come_back() -> None:
    loaded = loads(mixed(a_model()).dumps(), a_model())
    topology = loaded.policies["topology"]
    assert isinstance(topology, LMPolicy)
    assert topology.predict.signature.instructions == "Go on from the last one."
    assert [dict(demo) for demo in topology.predict.demos] == [{"task": "t", "action": "fanout_1", "confidence": 0.5}]


def test_two_models_are_told_apart_by_name() -> None:
    small, large = a_model(), a_model()
    small.model, large.model = "small", "large"
    components = {
        "stop": lm_component("stop", small, tier="resident"),
        "topology": lm_component("topology", large),
        "steer": rule_component([], {"none": 1.0}),
    }
    loaded = controller_of(Candidate(components=components), {"small": small, "large": large})
    chosen = [policy.lm for policy in loaded.policies.values() if isinstance(policy, LMPolicy)]
    assert chosen[0] is small
    assert chosen[1] is large
    with pytest.raises(UsageError, match="topology: this policy was made for large, not small"):
        controller_of(Candidate(components=components), {"small": small})


def test_a_component_that_was_edited_is_refused() -> None:
    text = mixed(a_model()).dumps().replace("Go on from the last one.", "Always start afresh.")
    with pytest.raises(UsageError, match="edited"):
        loads(text, a_model())


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_of_another_signature_is_refused(name: PolicyName) -> None:
    others = [schema_digest(signature_of(other)) for other in NAMES if other != name]
    others.append(schema_digest(Topology.append("reason", dspy.OutputField(), str)))
    for other in others:
        text = saved(mixed(a_model()), lambda body, other=other: body["schemas"].update({name: other}))  # type: ignore[misc]
        with pytest.raises(UsageError, match=f"{name} was saved for another signature"):
            loads(text, a_model())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda body: body["components"].pop("steer"), "components stop, topology, steer, not"),
        (lambda body: body["components"].update(judge="{}"), "components stop, topology, steer, not"),
        (lambda body: body.pop("components"), "components: Field required"),
        (lambda body: body.pop("schemas"), "schemas: Field required"),
        (lambda body: body["schemas"].pop("stop"), "stop was saved for another signature"),
        (lambda body: body.update(components=[]), "components: Input should be"),
        (lambda body: body["components"].update(stop=7), "components.stop: Input should be"),
        (lambda body: body.update(extra=1), "extra: Extra inputs"),
        (lambda body: body.update(format="tiller-controller/2"), "format tiller-controller/1"),
        (lambda body: body["components"].update(stop="not JSON"), "stop: not JSON"),
        (lambda body: body["components"].update(stop="[]"), "stop: a component is a JSON object"),
        (lambda body: body["components"].update(stop='{"tier":"oracle"}'), "stop: a component is a JSON object"),
        (lambda body: body["components"].update(stop='{"tier":"rule"}'), "not a decision list: otherwise"),
        (lambda body: body["components"].update(stop='{"tier":"frontier"}'), "stop: this policy was made for None"),
    ],
)
def test_what_is_no_controller_is_one_clear_line(change: Callable[[dict[str, Any]], object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        loads(saved(mixed(a_model()), change), a_model())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}"])
def test_text_that_is_something_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a controller"):
        loads(text)


@pytest.mark.parametrize(
    "parts",
    [{}, {"instructions": 7}, {"instructions": "x", "demos": {}}, {"instructions": "x", "demos": ["not an object"]}],
)
def test_a_models_component_without_its_parts_is_refused(parts: dict[str, object]) -> None:
    text = json.dumps({"tier": "frontier", "model": "scripted", **parts})
    with pytest.raises(UsageError, match="stop: a model's policy has instructions"):
        policy_of("stop", text, a_model())


def test_a_models_policy_needs_the_very_model() -> None:
    text = mixed(a_model()).dumps()
    other = a_model()
    other.model = "another"
    with pytest.raises(UsageError, match="topology: this policy was made for scripted, not another"):
        loads(text, other)
    with pytest.raises(UsageError, match=r"topology: this policy asks a model \(scripted\); name one with --lm"):
        loads(text)


def test_rules_need_no_model() -> None:
    loaded = controller_of(climbing())
    assert all(isinstance(policy, RulePolicy) for policy in loaded.policies.values())
    assert loaded.named_predictors() == []
    assert loaded.candidate == climbing()


def test_the_digest_is_that_of_the_texts() -> None:
    assert controller_of(climbing()).digest == climbing().digest
    other = climbing(steer=rules({"up": 1.0}))
    assert controller_of(other).digest != controller_of(climbing()).digest


def test_a_saved_controller_holds_no_key() -> None:
    lm = dspy.LM("openai/gpt-4o-mini", api_key="sk-secret", cache=False)
    text = controller_of(climbing(stop=lm_component("stop", lm)), lm).dumps()
    assert "sk-secret" not in text
    assert "openai/gpt-4o-mini" in text


# What dspy's optimizers do to a program.


def found(controller: Controller) -> dict[str, dspy.Predict]:
    return dict(controller.named_predictors())


def all_models() -> Controller:
    lm = a_model()
    return controller_of(Candidate(components={name: lm_component(name, lm) for name in NAMES}), lm)


def test_dspy_finds_the_predictors_of_the_models_policies() -> None:
    controller = mixed(a_model())
    topology = controller.policies["topology"]
    assert isinstance(topology, LMPolicy)
    assert list(found(controller)) == ["policies['topology'].predict"]
    assert controller.predictors() == [topology.predict]
    assert len(all_models().predictors()) == 3


@pytest.mark.parametrize(
    "copied", [lambda c: c.deepcopy(), copy.deepcopy, lambda c: c.reset_copy()], ids=["dspy", "copy", "reset"]
)
def test_a_copy_is_edited_where_it_decides_and_alone(copied: Callable[[Controller], Controller]) -> None:
    original = all_models()
    before = original.digest
    twin = copied(original)
    assert type(twin) is Controller
    assert found(twin).keys() == found(original).keys()
    for predictor in found(twin).values():
        predictor.signature = predictor.signature.with_instructions("Never stop.")
    assert all("Never stop." in text for text in twin.candidate.components.values())
    assert original.digest == before != twin.digest


def test_a_model_that_cannot_be_copied_is_shared() -> None:
    original = all_models()
    for policy in original.policies.values():
        assert isinstance(policy, LMPolicy)
        policy.lm.lock = threading.Lock()
    twin = original.deepcopy()
    for name in NAMES:
        mine, yours = twin.policies[name], original.policies[name]
        assert isinstance(mine, LMPolicy)
        assert isinstance(yours, LMPolicy)
        assert mine.lm is yours.lm
        assert mine.predict is not yours.predict
        assert found(twin)[f"policies['{name}'].predict"] is mine.predict


def test_a_predictor_that_is_replaced_is_the_one_that_decides() -> None:
    controller = all_models()
    new = dspy.Predict(signature_of("stop").with_instructions("Replaced."))
    controller.map_named_predictors(lambda old: new)
    assert all(policy.predict is new for policy in controller.policies.values() if isinstance(policy, LMPolicy))
    assert controller.predictors()[0] is new
    assert "Replaced." in controller.candidate.components["stop"]


async def test_demos_that_an_optimizer_sets_reach_the_model() -> None:
    lm, engine = scripted_lm(lambda prompt: action_text("refine_last"))
    controller = mixed(lm)
    controller.predictors()[0].demos = [
        dspy.Example(task="an older hill", features={}, observations=[], legal=["x"], action="x", confidence=1.0)
    ]
    await decisions(controller)
    assert "an older hill" in engine.prompts[0]


def test_dspys_state_goes_over_to_a_copy() -> None:
    original = all_models()
    original.predictors()[0].signature = original.predictors()[0].signature.with_instructions("Edited.")
    other = all_models()
    other.load_state(original.dump_state())
    assert other.digest == original.digest
