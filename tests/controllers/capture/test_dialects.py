"""Each API's requests and replies, whole and streamed, read alike."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.capture.dialects import Part, Reply, ToolAsk, Usage, answered, asked

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
SSE = "text/event-stream; charset=utf-8"
JSON = "application/json"


def stream(*events: object, done: bool = False) -> bytes:
    lines = [f"event: x\ndata: {json.dumps(event)}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def test_a_chat_request() -> None:
    calls = [{"id": "t1", "function": {"name": "ls"}}]
    body = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": "data:"}]},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "t1", "content": "a.py"},
        ]
    }
    parts = asked(CHAT, body)
    assert [part.role for part in parts] == ["system", "user", "assistant", "tool"]
    assert parts[1].text == 'a\n{"image_url":"data:","type":"image_url"}'
    assert (json.loads(parts[2].text), parts[3]) == (calls, Part("tool", "a.py", "t1"))


def test_an_anthropic_request() -> None:
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "no"}], "is_error": True}
    body = {
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": [result, {"type": "text", "text": "Go on."}]}],
    }
    assert asked(MESSAGES, body) == (
        Part("system", "Be brief."),
        Part("tool", "no", "t1", True),
        Part("user", "Go on."),
    )


def test_a_responses_request() -> None:
    output = {"type": "function_call_output", "call_id": "t1", "output": "a.py"}
    user = {"role": "user", "content": [{"type": "input_text", "text": "Hi."}]}
    body = {"instructions": "Be brief.", "input": [user, {"type": "reasoning"}, output]}
    assert asked(RESPONSES, body) == (
        Part("system", "Be brief."),
        Part("user", "Hi."),
        Part("assistant", '{"type":"reasoning"}'),
        Part("tool", "a.py", "t1"),
    )
    assert asked(RESPONSES, {"input": "Hi."}) == (Part("user", "Hi."),)


def test_another_request_is_kept_as_it_is() -> None:
    assert asked("/v1/completions", {"prompt": "def f("}) == (Part("user", "def f("),)
    assert asked("/v1beta/models/m:generateContent", {"contents": []}) == (Part("user", '{"contents":[]}'),)


ANTHROPIC_USAGE = {"input_tokens": 1, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 300}


def test_an_anthropic_reply_whole_and_streamed_is_the_same() -> None:
    blocks = [{"type": "text", "text": "I look."}, {"type": "tool_use", "id": "t1", "name": "ls", "input": {"a": 1}}]
    whole = {
        "model": "m",
        "content": blocks,
        "stop_reason": "tool_use",
        "usage": {**ANTHROPIC_USAGE, "output_tokens": 9},
    }
    wanted = Reply("I look.", (ToolAsk("t1", "ls", '{"a":1}'),), Usage(321, 9, 20, 300), "m", "tool_use")
    assert answered(MESSAGES, JSON, json.dumps(whole).encode()) == wanted
    pieces = stream(
        {
            "type": "message_start",
            "message": {"model": "m", "content": [], "usage": {**ANTHROPIC_USAGE, "output_tokens": 1}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "I "}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "look."}},
        {"type": "content_block_start", "index": 1, "content_block": {**blocks[1], "input": {}}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a"'}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ":1}"}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    )
    assert answered(MESSAGES, SSE, pieces) == wanted
    assert answered(MESSAGES, SSE, pieces[:-30]).trouble != ""


def test_a_responses_reply_whole_and_streamed_is_the_same() -> None:
    usage = {"input_tokens": 10, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 4}}
    call = {"type": "function_call", "call_id": "t1", "name": "ls", "arguments": "{}"}
    said = {"type": "message", "content": [{"type": "output_text", "text": "Hi."}]}
    body = {"model": "m", "status": "completed", "output": [said, call], "usage": usage}
    wanted = Reply("Hi.", (ToolAsk("t1", "ls", "{}"),), Usage(10, 2, 4), "m", "completed")
    assert answered(RESPONSES, JSON, json.dumps(body).encode()) == wanted
    delta = {"type": "response.output_text.delta", "delta": "Hi."}
    assert answered(RESPONSES, SSE, stream(delta, {"type": "response.completed", "response": body})) == wanted
    assert answered(RESPONSES, SSE, stream(delta)) == Reply("Hi.", trouble="the stream ended early")


def test_a_chat_stream_that_ends_early_or_holds_rubbish_is_said() -> None:
    piece = {"choices": [{"delta": {"content": "Hi."}}]}
    assert answered(CHAT, SSE, stream(piece)).trouble == "the stream ended early"
    assert answered(CHAT, SSE, stream(piece, done=True)).trouble == ""
    assert answered(CHAT, SSE, b"data: {rubbish\n\n" + stream(piece, done=True)) == Reply(
        "Hi.", trouble="an event of the stream is no JSON object"
    )


def test_usage_under_two_names_counts_once_and_gemini_has_its_own() -> None:
    twice = {
        "usage": {"prompt_tokens": 5, "input_tokens": 5, "completion_tokens": 1, "output_tokens": 1},
        "choices": [],
    }
    assert answered(CHAT, JSON, json.dumps(twice).encode()).usage == Usage(5, 1)
    gemini = {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 2, "thoughtsTokenCount": 3}}
    path = "/v1beta/models/m:streamGenerateContent"
    assert answered(path, SSE, stream(gemini)).usage == Usage(7, 5)


def test_an_error_in_a_good_reply_is_said() -> None:
    reply = answered(CHAT, JSON, b'{"error": {"message": "overloaded"}}')
    assert (reply.text, reply.trouble) == ("overloaded", "the reply is an error")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["messages", "content", "role", "choices", "delta", "usage", "type", "index", "output", "message"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES, "/v1/embeddings"])
@given(body=_JSON, events=st.lists(_JSON, max_size=4), rest=st.binary(max_size=20))
def test_nothing_that_is_sent_makes_it_fail(path: str, body: object, events: list[object], rest: bytes) -> None:
    assert isinstance(asked(path, body), tuple)
    assert isinstance(answered(path, JSON, json.dumps(body).encode()), Reply)
    assert isinstance(answered(path, SSE, stream(*events) + rest), Reply)
