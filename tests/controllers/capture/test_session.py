"""What is kept of an attempt's calls."""

from __future__ import annotations

import gzip
import json
import zlib

from controllers.capture.session import Exchange, Session, decoded

PATH = "/v1/chat/completions"


def exchange(*messages: object, reply: object = None, **more: object) -> Exchange:
    body = json.dumps({"model": "m", "messages": list(messages)}).encode()
    data = json.dumps(reply if reply is not None else {"choices": []}).encode()
    made = Exchange(PATH, body, 200, "application/json", "", data, len(data))
    return made._replace(**more)  # type: ignore[arg-type]  # fields by name


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def test_a_conversation_that_was_rewritten_is_shown_again() -> None:
    session = Session("t", (), 1 << 20)
    session.note(exchange(user("a"), user("b")))
    session.note(exchange(user("summary"), user("c")))
    assert [event.text for event in session.trace if event.kind == "message"] == ["a", "b", "summary", "c"]


def test_lone_surrogates_are_replaced() -> None:
    session = Session("t", (), 1 << 20)
    session.note(exchange(user("\ud800"), reply={"choices": [{"message": {"content": "\ud800"}}], "model": "\ud800"}))
    assert [event.text for event in session.trace if event.kind == "message"] == ["?", "?"]


def test_secrets_are_in_no_event() -> None:
    session = Session("t", ("canary-123",), 1 << 20)
    call = {"id": "t1", "function": {"name": "f", "arguments": '{"key": "canary-123"}'}}
    session.note(exchange(user("canary-123"), reply={"choices": [{"message": {"tool_calls": [call]}}]}))
    assert "canary-123" not in "".join(event.model_dump_json() for event in session.trace)


def test_tokens_are_none_where_one_answered_call_has_none_and_failed_calls_do_not_count() -> None:
    usage = {"usage": {"prompt_tokens": 2, "completion_tokens": 1}, "choices": []}
    session = Session("t", (), 1 << 20)
    session.note(exchange(reply=usage))
    session.note(exchange(reply={"error": {}}, status=500))
    assert (session.tokens.tokens_in, session.tokens.tokens_out, session.tokens.tokens_cached) == (2, 1, None)
    assert session.turns == 1
    session.note(exchange())
    assert session.tokens.tokens_in is None


def test_encodings() -> None:
    assert decoded(b"abc", "identity", most=10) == b"abc"
    assert decoded(gzip.compress(b"abc"), "gzip", most=10) == b"abc"
    assert decoded(zlib.compress(b"abc"), "deflate", most=10) == b"abc"
    assert decoded(gzip.compress(b"abc")[:-9], "gzip", most=10) is not None
    assert decoded(gzip.compress(b"\0" * 10_000_000), "gzip", most=100) == b"\0" * 100
    assert decoded(b"rubbish", "gzip", most=10) is None
    assert decoded(b"abc", "br", most=10) is None


def test_an_encoding_that_cannot_be_read_is_said() -> None:
    session = Session("t", (), 1 << 20)
    session.note(exchange(encoding="br"))
    assert [event.text for event in session.trace if event.kind == "error"] == [
        "the reply's encoding 'br' cannot be read"
    ]
