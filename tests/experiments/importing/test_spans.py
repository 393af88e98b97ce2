"""One conversation from many calls."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.importing.messages import Call, Said
from experiments.importing.spans import Talk

TEXT = st.sampled_from(["yes", "no", "go on"])


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_a_growing_conversation_is_told_once(turns: list[tuple[str, str]]) -> None:
    talk, told = Talk(), list[Said]()
    for asked, answer in turns:
        told.append(Said("user", asked))
        talk.model_call(told, [Said("assistant", answer)])
        told.append(Said("assistant", answer))
    assert talk.messages == told


def test_a_result_of_a_tools_own_span_is_not_told_again() -> None:
    talk, call = Talk(), Call("1", "f", "{}")
    asked = Said("assistant", calls=(call,))
    talk.model_call([Said("user", "u")], [asked])
    talk.tool_call(Call("", "f", "{}"), "own", failed=False)
    talk.model_call([Said("user", "u"), asked, Said("tool", "as the model saw it", (), "1")], [Said("assistant", "a")])
    assert [said.text for said in talk.messages] == ["u", "", "own", "a"]


def test_a_tool_that_no_model_called_is_a_turn_of_its_own() -> None:
    talk = Talk()
    talk.tool_call(Call("", "f", "{}"), "r", failed=True)
    assert [(said.role, said.failed) for said in talk.messages] == [("assistant", False), ("tool", True)]


def test_without_the_prompt_the_rest_stays() -> None:
    talk = Talk()
    talk.model_call([Said("system", "s"), Said("user", "u"), Said("user", "u")], [])
    assert talk.prompt() == "u"
    assert [said.text for said in talk.without_prompt()] == ["s", "u"]
