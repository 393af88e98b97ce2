from __future__ import annotations

import copy
import json
import math

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.history import Seen
from controllers.lm import make_lm
from controllers.policies import View
from controllers.policies.choice import (
    ChoiceBody,
    ChoiceDemo,
    ChoicePolicy,
    calibrated,
    parse_choice,
    question_text,
    shown_of,
)
from controllers.program import controller_of, loads, policy_of
from controllers.scripted_engine import scripted_lm
from signatures.errors import UsageError
from signatures.records import Candidate
from tests.controllers.parts import a_task, check, climbing, seen, tool
from tests.controllers.serving import recording, top

LEGAL = ("refine_last", "refine_best", "fanout_1")
DEMO = ChoiceDemo(task="t", features={"attempts": 2.0, "none": 0.0}, observations=("Attempt 1:",), action="fanout_1")


def body_of(lm: dspy.LM, **changed: object) -> ChoiceBody:
    return ChoiceBody.model_validate({"model": lm.model, "instructions": "Choose.", **changed})


def view(*history: Seen, legal: tuple[str, ...] = LEGAL) -> View:
    return View(a_task(), {"attempts": float(len(history)), "passed": 0.0}, legal, history)


async def test_weights_are_log_probabilities_less_the_bias() -> None:
    with recording() as server:
        server.finish = "length"
        server.logprobs = top(A=math.log(0.6), B=math.log(0.3), C=math.log(0.1))
        lm = make_lm("openai/some-model", {"api_base": server.url})
        plain = await ChoicePolicy("topology", lm, body_of(lm)).decide(view())
        bias = {"refine_last": math.log(0.6), "refine_best": math.log(0.2), "fanout_1": math.log(0.2)}
        moved = await ChoicePolicy("topology", lm, body_of(lm, bias=bias, demos=[DEMO.model_dump()])).decide(view())
    assert [plain.weights[name] for name in LEGAL] == pytest.approx([0.6, 0.3, 0.1])
    assert [moved.weights[name] for name in LEGAL] == pytest.approx([1 / 3, 0.5, 1 / 6])
    assert (plain.cost.tokens_in, plain.cost.tokens_out) == (11, 5)
    first, second = (body["messages"] for body in server.bodies)
    assert [turn["role"] for turn in first] == ["system", "user"]
    assert [turn["role"] for turn in second] == ["system", "user", "assistant", "user"]
    assert second[2]["content"] == "C"
    assert second[3]["content"].startswith(f"Task:\n{a_task().prompt}")


async def test_a_demo_that_could_not_be_chosen_now_is_left_out() -> None:
    with recording() as server:
        server.logprobs = top(A=-1.0, B=-2.0)
        lm = make_lm("openai/some-model", {"api_base": server.url})
        await ChoicePolicy("stop", lm, body_of(lm, demos=[DEMO.model_dump()])).decide(view(legal=("continue", "done")))
    assert [turn["role"] for turn in server.bodies[0]["messages"]] == ["system", "user"]


async def test_what_is_shown_is_named_and_a_model_without_log_probabilities_is_refused() -> None:
    history = (seen(0, correct=0.2, trace=(tool("ping"),)), seen(1, correct=0.1))
    with recording() as server:
        server.logprobs = top(A=-1.0, B=-2.0, C=-3.0)
        lm = make_lm("openai/some-model", {"api_base": server.url})
        found = await ChoicePolicy("topology", lm, body_of(lm)).decide(view(*history))
    assert list(found.shown) == [one.id for attempt in history for one in attempt.observations()]
    lm, _ = scripted_lm(lambda _: "A")
    with pytest.raises(UsageError, match="no log-probabilities"):
        await ChoicePolicy("topology", lm, body_of(lm)).decide(view())


def test_of_every_attempt_the_first_checker_comes_first_and_lines_are_whole() -> None:
    checks = tuple(check(name, 0.5) for name in ("correct", "fast"))
    history = [seen(n, checks=checks, trace=(tool("look", text=f"saw {n}"),)) for n in range(2)]
    lines = [one.line for one in history[0].shown()]
    assert shown_of(history, 0).lines == ("Attempt 1:", "Attempt 2:")
    both = shown_of(history, 2 * len(lines[1]))
    assert both.lines == ("Attempt 1:", lines[1], "Attempt 2:", history[1].shown()[1].line)
    everything = shown_of(history, 10_000)
    assert len(everything.lines) == 2 + 6 and len(everything.ids) == 6


@given(chars=st.integers(0, 3_000))
def test_no_more_is_shown_than_fits(chars: int) -> None:
    history = [seen(n, correct=0.5, trace=(tool("look", text="x" * 100 * n),)) for n in range(4)]
    lines = shown_of(history, chars).lines
    assert sum(len(line) for line in lines if not line.startswith("Attempt ")) <= chars


def test_a_question_names_numbers_that_are_not_zero() -> None:
    text = question_text("Do it.", {"b": 2.0, "a": 0.0, "c": 1 / 3}, [])
    assert "Do it." in text and "b=2, c=0.3333" in text and "a=" not in text and "nothing is shown" in text


@given(
    logs=st.dictionaries(st.sampled_from("abcd"), st.floats(-30, 0), min_size=1),
    bias=st.dictionaries(st.sampled_from("abc"), st.floats(-30, 30)),
    moved=st.floats(-5, 5),
)
def test_weights_are_probabilities_and_a_bias_that_all_share_changes_nothing(
    logs: dict[str, float], bias: dict[str, float], moved: float
) -> None:
    found = calibrated(logs, bias)
    assert sum(found.values()) == pytest.approx(1.0)
    shifted = calibrated(logs, {name: value + moved for name, value in bias.items()})
    assert shifted == pytest.approx(found, abs=1e-9)


def test_an_action_without_a_bias_gets_the_mean_of_the_others() -> None:
    found = calibrated(dict.fromkeys("abc", -1.0), {"a": -1.0, "b": -3.0})
    assert found["a"] < found["c"] < found["b"]


def test_a_saved_controller_with_a_choice_loads_to_the_same() -> None:
    lm, _ = scripted_lm(lambda _: "A")
    text = ChoicePolicy("topology", lm, body_of(lm, demos=[DEMO.model_dump()], bias={"fanout_1": -1.0})).text
    controller = controller_of(Candidate(components={**climbing().components, "topology": text}), lm)
    again = loads(controller.dumps(), lm)
    assert again.digest == controller.digest and again.policies["topology"].text == text
    assert copy.deepcopy(again.policies["topology"]).text == text
    assert again.named_parameters() == []


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"scale": 0}, "scale"),
        ({"bias": {"a": "x"}}, "bias.a"),
        ({"wording": "x"}, "wording"),
        ({"tier": "rule"}, "decision list"),
    ],
)
def test_what_is_no_choice_is_refused(changed: dict[str, object], match: str) -> None:
    lm, _ = scripted_lm(lambda _: "A")
    body = {**json.loads(ChoicePolicy("stop", lm, body_of(lm)).text), **changed}
    with pytest.raises(UsageError, match=match):
        policy_of("stop", json.dumps(body), lm)


def test_another_model_is_refused() -> None:
    lm, _ = scripted_lm(lambda _: "A")
    body = {**json.loads(ChoicePolicy("stop", lm, body_of(lm)).text), "model": "another"}
    with pytest.raises(UsageError, match="made for another"):
        policy_of("stop", json.dumps(body), lm)
    assert parse_choice("stop", body).model == "another"
