"""Chat messages as traces: calls meet their results, and nothing is lost or told twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.importing.messages import Call, ChatMessage, Said, final_text, text_of, trace_of, turns_of

NAMES = st.sampled_from(["look", "turn"])


@st.composite
def talks(draw: st.DrawFn) -> list[Said]:
    """Turns of the assistant with some calls, some of them answered, in any order."""
    found = [Said("user", "task")]
    for turn in range(draw(st.integers(0, 4))):
        calls = [Call(f"{turn}-{n}", draw(NAMES), f'{{"n":{n}}}') for n in range(draw(st.integers(0, 3)))]
        found.append(Said("assistant", draw(st.sampled_from(["", f"turn {turn}"])), tuple(calls)))
        answered = draw(st.permutations(calls))[: draw(st.integers(0, len(calls)))]
        found += [Said("tool", f"result of {call.id}", (), call.id, call.name) for call in answered]
    return found


@settings(deadline=None)
@given(talks())
def test_every_call_is_one_event_with_its_own_result(talk: list[Said]) -> None:
    events = [event for event in trace_of(talk) if event.kind == "tool"]
    calls = [
        (turn, call) for turn, said in enumerate((s for s in talk if s.role == "assistant"), 1) for call in said.calls
    ]
    results = {said.answers: said.text for said in talk if said.role == "tool"}
    expected = sorted((turn, call.name, call.arguments, results.get(call.id, "")) for turn, call in calls)
    assert sorted((e.turn, e.name, e.arguments, e.text) for e in events) == expected
    assert turns_of(trace_of(talk)) == (len(calls) or sum(s.role == "assistant" and bool(s.text) for s in talk))


def test_the_prompt_is_left_out_before_the_first_turn_alone() -> None:
    talk = [Said("system", "p"), Said("assistant", "hi"), Said("user", "p")]
    assert [(event.name, event.text) for event in trace_of(talk, prompt="p")] == [("assistant", "hi"), ("user", "p")]


def test_a_result_without_an_id_goes_to_the_first_call_of_its_tool() -> None:
    talk = [Said("assistant", calls=(Call("1", "a", "A"), Call("2", "b", "B"))), Said("tool", "of b", name="b")]
    assert [(event.name, event.arguments, event.text) for event in trace_of(talk)] == [
        ("b", "B", "of b"),
        ("a", "A", ""),
    ]


def test_what_was_said_last() -> None:
    assert final_text([Said("assistant", "a"), Said("assistant", ""), Said("user", "u")]) == "a"
    assert final_text([]) == ""


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("x", "x"),
        ([{"type": "text", "text": "a"}, {"type": "reasoning", "reasoning": "no"}, "b"], "a\nb"),
        ([{"type": "image", "image": "data:..."}], "[image]"),
        ({"type": "text", "content": "c"}, "c"),
        (3, "3"),
    ],
)
def test_text_of_a_message(content, text) -> None:
    assert text_of(content) == text


def test_three_shapes_of_a_call() -> None:
    shapes = (
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "1", "function": "f", "arguments": {"a": 1}},
        {"id": "1", "name": "f", "arguments": {"a": 1}},
    )
    for shape in shapes:
        said = ChatMessage.model_validate({"role": "assistant", "content": "", "tool_calls": [shape]}).said()
        assert said.calls == (Call("1", "f", '{"a":1}'),)
