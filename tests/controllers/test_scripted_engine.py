from __future__ import annotations

import dspy
import pytest
from dspy.lm15 import Message, Request

from controllers.scripted_engine import AsyncScriptedEngine, ScriptedEngine, prompt_text, scripted_lm

PREDICT = dspy.Predict("question -> answer")


def reply(prompt: str) -> str:
    return "[[ ## answer ## ]]\n" + ("four" if "two and two" in prompt else "unknown")


def test_a_script_answers_a_dspy_program() -> None:
    lm, engine = scripted_lm(reply)
    with dspy.context(lm=lm):
        assert PREDICT(question="two and two").answer == "four"
        assert PREDICT(question="what else").answer == "unknown"
    assert len(engine.prompts) == 2
    assert "two and two" in engine.prompts[0]


async def test_it_answers_async_calls_too_into_the_same_list() -> None:
    lm, engine = scripted_lm(reply)
    answer = await PREDICT.acall(lm=lm, question="two and two")
    assert answer.answer == "four"
    assert len(engine.prompts) == 1


def test_equal_prompts_are_asked_twice() -> None:
    lm, engine = scripted_lm(reply)
    for _ in range(2):
        PREDICT(lm=lm, question="two and two")
    assert engine.prompts[0] == engine.prompts[1]


def test_usage_is_counted_in_words() -> None:
    lm, engine = scripted_lm(lambda prompt: "a b c")
    lm("one two three")
    usage = dict(lm.history[-1]["usage"])
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (len(engine.prompts[0].split()), 3)


def test_a_prompt_is_all_text_system_first() -> None:
    request = Request(model="scripted", system="Be brief.", messages=[Message.user("one"), Message.user("two")])
    assert prompt_text(request) == "Be brief.\none\ntwo"


def test_what_the_script_raises_leaves_it() -> None:
    def broken(prompt: str) -> str:
        raise LookupError("no line for this")

    engine = ScriptedEngine(broken)
    request = Request(model="scripted", messages=[Message.user("one")])
    with pytest.raises(LookupError, match="no line"):
        engine.complete(request)
    assert engine.prompts == ["one"]


async def test_a_stream_holds_the_whole_answer() -> None:
    engine = ScriptedEngine(lambda prompt: "hello there")
    request = Request(model="scripted", messages=[Message.user("one")])
    events = list(engine.stream(request))
    streamed = [event async for event in AsyncScriptedEngine(engine).stream(request)]
    assert "hello there" in repr(events)
    assert [type(event) for event in streamed] == [type(event) for event in events]
    assert len(engine.prompts) == 2
    engine.close()
    await AsyncScriptedEngine(engine).aclose()
