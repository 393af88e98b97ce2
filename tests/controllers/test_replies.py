"""Reading a model's reply: any text gives a call, an answer or a reason, and never an exception."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.replies import (
    Answer,
    ToolCall,
    Unreadable,
    encodable,
    instructions,
    read_reply,
    reply_schema,
    tool_call,
    tool_result,
)
from controllers.worlds import ToolSpec

PROSE = st.text(st.characters(exclude_characters="{}", exclude_categories=("Cs",)))
TEXT = st.text(st.characters(exclude_categories=("Cs",)))
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | TEXT, lambda v: st.lists(v, max_size=3), max_leaves=4)


@given(PROSE, TEXT, st.dictionaries(TEXT, VALUES, max_size=3), PROSE)
def test_a_call_is_found_in_any_prose(before: str, name: str, arguments: dict[str, object], after: str) -> None:
    text = before + json.dumps({"tool": name, "arguments": arguments}) + after
    assert read_reply(text) == ToolCall(name, arguments)


@given(PROSE, TEXT, PROSE)
def test_an_answer_is_found_in_any_prose(before: str, answer: str, after: str) -> None:
    assert read_reply(f"{before}{json.dumps({'answer': answer})}{after}") == Answer(answer)


@given(st.text())
def test_any_text_is_read_without_an_exception(text: str) -> None:
    assert isinstance(read_reply(text), ToolCall | Answer | Unreadable)


def test_arguments_may_be_left_out_and_the_first_object_counts() -> None:
    assert read_reply('{"tool": "look"} {"answer": "x"}') == ToolCall("look", {})
    assert read_reply('{"plan": {"tool": "inner"}} {"tool": "look"}') == ToolCall("look", {})
    assert read_reply('```json\n{"answer": {"a": [1]}}\n```') == Answer('{"a": [1]}')


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I would look at the lamp.",
        '{"tool": "look", "arguments": ',
        '{"tool": 3}',
        '{"tool": "look", "arguments": [1]}',
        '{"tool": "look", "arguments": {"x": NaN}}',
        "{" * 5000,
        '{"a":' * 5000,
    ],
)
def test_what_is_neither_says_why(text: str) -> None:
    found = read_reply(text)
    assert isinstance(found, Unreadable)
    assert "JSON object" in found.why


def test_lone_surrogates_cannot_get_in() -> None:
    assert read_reply('{"tool": "t\\ud800", "arguments": {"a": ["\\udfff"]}}') == ToolCall("t?", {"a": ["?"]})
    assert tool_call("t", {"a": "\ud800"}, "id") == ToolCall("t", {"a": "?"}, "id")
    assert encodable("é\ud800") == "é?"


def test_the_instructions_list_every_tool() -> None:
    tools = [ToolSpec(name=name, description="Does it.", parameters_json='{"properties": {}}') for name in "ab"]
    assert instructions(tools).splitlines()[-2:] == ["a() - Does it.", "b() - Does it."]


def test_a_result_is_told_as_json() -> None:
    assert json.loads(tool_result("look", "é", True)) == {"tool": "look", "failed": True, "result": "é"}


ARGUMENTS = {
    "type": "object",
    "properties": {"mode": {"$ref": "#/$defs/Mode"}},
    "required": ["mode"],
    "$defs": {"Mode": {"enum": ["fast", "slow"]}},
}


def test_the_schema_holds_every_tool_and_the_definitions_that_they_refer_to() -> None:
    slower = json.dumps(ARGUMENTS).replace("fast", "slower")
    tools = [
        ToolSpec(name="set", description="Set it.", parameters_json=json.dumps(ARGUMENTS)),
        ToolSpec(name="change", description="Change it.", parameters_json=slower),
    ]
    schema = reply_schema(tools)
    assert schema["$defs"] == {"set-Mode": {"enum": ["fast", "slow"]}, "change-Mode": {"enum": ["slower", "slow"]}}

    def exactly(**properties: object) -> dict[str, object]:
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def arguments(tool: str) -> dict[str, object]:
        mode = {"$ref": f"#/$defs/{tool}-Mode"}
        return {"type": "object", "properties": {"mode": mode}, "required": ["mode"]}

    assert schema["anyOf"] == [
        exactly(answer={"type": "string"}),
        exactly(tool={"const": "set"}, arguments=arguments("set")),
        exactly(tool={"const": "change"}, arguments=arguments("change")),
    ]
