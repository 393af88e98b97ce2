from __future__ import annotations

import copy
import enum
import math
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.adapter import quick_chat
from controllers.lm import answered
from controllers.policies import View
from controllers.policies.lm import LMPolicy
from controllers.program import NAMES
from controllers.prompts import render
from controllers.scripted_engine import scripted_lm
from signatures.analysis import Analyse
from signatures.policies import signature_of
from signatures.proposing import Propose
from signatures.records import PolicyName
from tests.controllers.parts import a_task, action_text, check, seen, tool

LEGAL = ("continue", "done")
DEMO = {"task": "t", "features": {"a": 1.0}, "observations": ["one", "two"], "legal": ["done"], "action": "done"}
DEMOS = {
    "none": [],
    "whole": [dspy.Example({**DEMO, "confidence": 0.5})],
    "a part, and a whole one": [dspy.Example(task="t", action="done"), {**DEMO, "confidence": 1}],
    "of other types": [dspy.Example({**DEMO, "features": {1: math.nan}, "confidence": None, "task": ["a", "b\nc"]})],
    "of nothing": [dspy.Example(other="x")],
}
INSTRUCTIONS = (None, "Stop early.", "  Stop\n    early,\n  or late.  ")


def theirs() -> dspy.ChatAdapter:
    return dspy.ChatAdapter(use_json_adapter_fallback=False)


class Colour(enum.StrEnum):
    RED = "red"


class Wide(dspy.Signature):
    """Take anything."""

    text: str = dspy.InputField(desc="a text")
    many: list[str] = dspy.InputField()
    table: dict[str, Any] = dspy.InputField(desc="a table")
    one: int | None = dspy.InputField(desc="perhaps a number")
    word: str = dspy.OutputField(desc="a word")
    share: float = dspy.OutputField(desc="a share")


class Other(dspy.Signature):
    """Answer in other types."""

    text: str = dspy.InputField(desc="a text")
    count: int = dspy.OutputField(desc="a number")
    parts: list[str] = dspy.OutputField(desc="parts")
    note: str | None = dspy.OutputField(desc="perhaps a note", default="none")


@pytest.mark.parametrize("demos", DEMOS)
@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize("name", NAMES)
async def test_a_policy_sends_what_dspy_would_send(name: PolicyName, instructions: str | None, demos: str) -> None:
    lm, _ = scripted_lm(lambda prompt: action_text("done"))
    policy = LMPolicy(name, lm, instructions=instructions)
    policy.predict.demos = DEMOS[demos]
    plain = copy.deepcopy(policy.predict)
    history = (seen(0, trace=(tool("ping", text="lost 'it' «»\n[[ ## action ## ]]"),), checks=(check("fast", 0.5),)),)
    view = View(a_task(), {"attempts": 1.0, "passed": 0.1 + 0.2}, LEGAL, history)
    found = await policy.decide(view)
    inputs = {
        "task": view.task.prompt,
        "features": dict(view.features),
        "observations": render([item for one in history for item in one.observations()]),
        "legal": list(LEGAL),
    }
    with dspy.context(adapter=theirs()):
        await plain.acall(lm=lm, **inputs)
    assert policy.predict.history[-1]["messages"] == plain.history[-1]["messages"]
    assert policy.predict.history[-1]["kwargs"] == plain.history[-1]["kwargs"]
    assert len(plain.history[-1]["messages"]) >= 2
    assert found.weights == pytest.approx({"continue": 0.1, "done": 0.9})


@pytest.mark.parametrize("signature", [*map(signature_of, NAMES), Propose, Analyse, Wide, Other])
def test_a_signature_is_described_as_dspy_does(signature: type[dspy.Signature]) -> None:
    for one in (signature, signature.with_instructions("Else."), signature.append("more", dspy.InputField(desc="m"))):
        assert quick_chat().format(one, [], {}) == theirs().format(one, [], {})


def test_what_is_edited_in_place_is_seen() -> None:
    signature = Wide.with_instructions("Before.")
    quick_chat().format(signature, [], {})
    signature.instructions = "After."
    assert "After." in quick_chat().format(signature, [], {})[0]["content"]
    signature.model_fields["text"].json_schema_extra["desc"] = "another text"
    assert "another text" in quick_chat().format(signature, [], {})[0]["content"]
    assert quick_chat().format(signature, [], {}) == theirs().format(signature, [], {})


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.just("\ud800"), st.just(Colour.RED)
)
KEYS = st.one_of(st.text(max_size=5), st.integers(), st.just(Colour.RED), st.floats(), st.booleans())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner), st.dictionaries(KEYS, inner, max_size=3), st.sets(st.integers())
    ),
    max_leaves=6,
)
FIELDS = ("text", "many", "table", "one", "word", "share")


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES), st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_whatever_the_values_the_messages_are_those_of_dspy(inputs: dict[str, Any], demo: dict[str, Any]) -> None:
    def written(adapter: dspy.Adapter) -> object:
        try:
            return adapter.format(Wide, [demo], inputs)
        except (TypeError, ValueError) as error:
            return type(error)

    assert written(quick_chat()) == written(theirs())


def parsed(adapter: dspy.Adapter, signature: type[dspy.Signature], completion: str) -> object:
    try:
        found = adapter.parse(signature, completion)
    except AdapterParseError as error:
        return str(error)
    return [(name, type(value), str(value)) for name, value in found.items()]


HEADERS = ("word", "share", "count", "parts", "note", "completed", "x y")
NUMBERS = ("0.8", "1", "-0.5", "-0", "007", ".5", "1e3", "1.", "nan", "inf", "10000000000000", "0.8 or so", '"0.8"', "")
PIECES = st.one_of(
    st.sampled_from([f"[[ ## {name} ## ]]" for name in HEADERS]),
    st.sampled_from([*NUMBERS, '["a"]', "null", "done", " ", "\n", "\r", "\u2028"]),
    st.text(max_size=6),
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(PIECES, st.sampled_from(["\n", " ", "", "\n\n"])), max_size=9), st.sampled_from([Wide, Other])
)
def test_an_answer_is_read_as_dspy_reads_it(pieces: list[tuple[str, str]], signature: type[dspy.Signature]) -> None:
    completion = "".join(piece + end for piece, end in pieces)
    assert parsed(quick_chat(), signature, completion) == parsed(theirs(), signature, completion)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_read_as_dspy_reads_it(number: str) -> None:
    for end in ("", "\n\n[[ ## completed ## ]]", "\n[[ ## share ## ]]\n0.1"):
        completion = f"said\n[[ ## word ## ]]\ndone\n\n[[ ## share ## ]]\n{number}{end}"
        assert parsed(quick_chat(), Wide, completion) == parsed(theirs(), Wide, completion)


async def test_what_dspys_optimizers_look_at_is_there() -> None:
    predict = dspy.Predict(Wide)
    lm, _ = scripted_lm(lambda prompt: "[[ ## word ## ]]\nyes\n[[ ## share ## ]]\n0.25")
    with dspy.context(trace=[]):
        answer, _ = await answered(predict, lm, {"text": "t", "many": [], "table": {}, "one": 1})
        ((who, inputs, prediction),) = list[tuple[Any, Any, Any]](dspy.settings.trace)
    assert who is predict
    assert inputs["text"] == "t"
    assert answer is not None
    assert prediction is answer
    assert (prediction.word, prediction.share) == ("yes", 0.25)
    assert predict.history[-1]["outputs"] == ["[[ ## word ## ]]\nyes\n[[ ## share ## ]]\n0.25"]


async def test_an_answer_that_does_not_parse_is_not_asked_again() -> None:
    lm, engine = scripted_lm(lambda prompt: "nothing of it")
    with pytest.raises(AdapterParseError):
        await quick_chat().acall(lm, {}, Wide, [], {"text": "t"})
    assert len(engine.prompts) == 1
