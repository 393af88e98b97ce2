from __future__ import annotations

import json

from controllers.worlds import ToolSpec
from controllers.worlds.tool_list import DESCRIPTION_CHARS, tool_list


def spec(description: str, **schema: object) -> ToolSpec:
    return ToolSpec(name="act", description=description, parameters_json=json.dumps(schema))


def test_arguments_are_named_with_their_types_and_optional_ones_marked() -> None:
    tool = spec(
        "Acts.",
        properties={
            "what": {"type": "string"},
            "how": {"anyOf": [{"$ref": "#/$defs/Mode"}, {"type": "string"}]},
            "where": {"$ref": "#/$defs/Place"},
            "other": {},
        },
        required=["what"],
        **{"$defs": {"Mode": {"enum": ["fast", "slow"]}, "Place": {"properties": {"x": {}, "y": {}}}}},
    )
    assert tool_list([tool]) == "act(what: string, how?: fast|slow, where?: {x, y}, other?: any) - Acts."


def test_a_tool_without_arguments_is_one_line() -> None:
    assert tool_list([spec("Looks"), spec("Looks.")]) == "act() - Looks.\nact() - Looks."


def test_long_descriptions_keep_whole_sentences() -> None:
    sentence = "It does what it says and then says what it did"
    text = tool_list([spec(". ".join([sentence] * 9) + ".")])
    kept = text.removeprefix("act() - ")
    assert kept.endswith(f"{sentence}.") and len(kept) <= DESCRIPTION_CHARS + len(". ")
    assert kept.count(sentence) == 3
    alone = "x" * (DESCRIPTION_CHARS * 2)
    assert tool_list([spec(f"{alone}. And more.")]) == f"act() - {alone}."
