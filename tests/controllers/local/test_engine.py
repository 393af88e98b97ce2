from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any, Literal

import dspy
import pytest

from controllers.lm import billed, make_lm
from controllers.local.engine import AsyncChatEngine, ChatEngine, FixedSource, LocalSource, source_from
from controllers.local.options import ServerOptions
from signatures.errors import ProviderError
from tests.controllers.serving import Recording, recording


class Choose(dspy.Signature):
    """Choose."""

    text: str = dspy.InputField()
    action: Literal["stop", "go"] = dspy.OutputField()
    confidence: float = dspy.OutputField()


@pytest.fixture
def server() -> Iterator[Recording]:
    with recording() as found:
        yield found


def lm_of(server: Recording, **settings: Any) -> dspy.LM:
    return make_lm("openai/some-model", {"api_base": server.url, "api_key": "sk-secret", **settings})


async def test_a_request_keeps_its_settings_and_its_answer_is_billed(server: Recording) -> None:
    lm = lm_of(server, temperature=0.5, max_tokens=40, seed=3, top_p=0.9, top_k=7)
    answer, cost = await billed(lm, lambda own: own.acall("Hi"))
    assert answer == ["hello"]
    (body,) = server.bodies
    assert {name: body[name] for name in ("model", "temperature", "max_tokens", "seed", "top_p", "top_k")} == {
        "model": "some-model",
        "temperature": 0.5,
        "max_tokens": 40,
        "seed": 3,
        "top_p": 0.9,
        "top_k": 7,
    }
    assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    assert (cost.tokens_in, cost.tokens_out, cost.tokens_cached, cost.usd) == (11, 5, 3, None)


async def test_typed_outputs_are_asked_for_by_their_schema(server: Recording) -> None:
    server.reply = '{"action": "go", "confidence": 0.5}'
    with dspy.context(adapter=dspy.JSONAdapter()):
        found = await dspy.Predict(Choose).acall(lm=lm_of(server), text="green")
    assert (found.action, found.confidence) == ("go", 0.5)
    asked = server.bodies[0]["response_format"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["schema"]["properties"]["action"]["enum"] == ["stop", "go"]


def test_sync_calls_and_streams_go_the_same_way(server: Recording) -> None:
    assert lm_of(server)("Hi") == ["hello"]
    assert server.bodies[0]["messages"] == [{"role": "user", "content": "Hi"}]


async def test_a_grammar_goes_with_each_request(server: Recording) -> None:
    source = FixedSource(server.url, "m")
    lm = dspy.LM(
        "openai/m", engine=ChatEngine(source, "root ::= x"), async_engine=AsyncChatEngine(source, "root ::= x")
    )
    await lm.acall("Hi", cache=False)
    lm("Hi", cache=False)
    assert [body["grammar"] for body in server.bodies] == ["root ::= x"] * 2


def test_copies_pickles_and_saved_states_ask_the_same_server(server: Recording) -> None:
    lm = lm_of(server, temperature=0.5)
    for twin in (lm.copy(), lm.copy(temperature=0.1), copy.deepcopy(lm), pickle.loads(pickle.dumps(lm))):
        assert twin("Hi") == ["hello"]
    assert [body["temperature"] for body in server.bodies] == [0.5, 0.1, 0.5, 0.5]
    state = lm.dump_state()
    assert "sk-secret" not in str(state)
    loaded = dspy.LM.load_state(state, allow_custom_lm_class=True)
    assert loaded.copy(cache=False)("Hi") == ["hello"]


def test_a_key_is_in_no_text_of_the_engine(server: Recording) -> None:
    assert "sk-secret" not in repr(lm_of(server).engine.source)


def test_a_source_is_read_back_from_what_it_dumps() -> None:
    for source in (FixedSource("http://x/v1", "m"), LocalSource(ServerOptions(path="/m.gguf", slots=2))):
        assert source_from(source.dump()) == source
        assert ChatEngine.load_state(ChatEngine(source).dump_state()).source == source
        assert AsyncChatEngine.load_state(AsyncChatEngine(source).dump_state()).source == source


async def test_a_failing_server_is_a_provider_error(server: Recording) -> None:
    server.status = 500
    with pytest.raises(ProviderError) as caught:
        await billed(lm_of(server), lambda own: own.acall("Hi"))
    assert caught.value.retryable
    with pytest.raises(ProviderError) as refused:
        lm = make_lm("openai/some-model", {"api_base": "http://127.0.0.1:9/v1"})
        await billed(lm, lambda own: own.acall("Hi"))
    assert refused.value.retryable
