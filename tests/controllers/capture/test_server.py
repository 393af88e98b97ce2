"""The proxy between real sockets: what passes, what is refused, what is noted, and that no key is kept."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from controllers.capture.server import Capture, CaptureConfig
from controllers.capture.session import Session
from signatures.errors import UsageError
from tests.controllers.upstream import (
    CHAT,
    STREAM_HEAD,
    Asked,
    Play,
    Upstream,
    answer,
    delta,
    send_event,
    upstream,
)

KEY = "real-key-canary-0123456789"
HELLO = {"model": "m-1", "messages": [{"role": "user", "content": "Hi."}]}


@asynccontextmanager
async def proxied(play: Play, **settings: object) -> AsyncIterator[tuple[Upstream, Capture, httpx.AsyncClient]]:
    async with upstream(play) as far:
        config = CaptureConfig.model_validate({"upstream": far.url, **settings})
        async with Capture(config, KEY) as capture, client_of(capture) as client:
            yield far, capture, client


def client_of(capture: Capture) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=capture.url, trust_env=False, verify=False)


def bearer(session: Session) -> dict[str, str]:
    return {"Authorization": f"Bearer {session.token}"}


async def chat(client: httpx.AsyncClient, session: Session, body: object = HELLO) -> httpx.Response:
    return await client.post("/v1/chat/completions", json=body, headers=bearer(session))


def said(session: Session) -> list[tuple[str, str, str]]:
    return [(event.kind, event.name, event.text) for event in session.trace]


async def test_a_call_goes_through_and_is_noted() -> None:
    async with proxied(answer(CHAT)) as (far, capture, client):
        session = capture.open()
        reply = await chat(client, session)
        assert (reply.status_code, reply.json()) == (200, CHAT)
    (asked,) = far.asked
    assert (asked.method, asked.path, json.loads(asked.body)) == ("POST", "/v1/chat/completions", HELLO)
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert said(session) == [
        ("message", "user", "Hi."),
        ("message", "assistant", "Hello."),
        ("process", "model call", "status 200"),
    ]
    about = json.loads(session.trace[-1].arguments)
    assert (about["model"], about["status"], about["tokens_in"]) == ("m-1", 200, 11)
    assert 0 < about["first_s"] <= about["wall_s"]
    assert (session.tokens.tokens_in, session.tokens.tokens_out, session.tokens.tokens_cached) == (11, 3, 5)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"x-api-key": KEY}, {"Cookie": "a=b"}])
async def test_a_wrong_or_missing_token_is_refused_and_noted_nowhere(headers: dict[str, str]) -> None:
    async with proxied(answer(CHAT)) as (far, capture, client):
        session = capture.open()
        reply = await client.post("/v1/chat/completions", json=HELLO, headers=headers)
        assert reply.status_code == 401
        assert "token" in reply.json()["error"]["message"]
        over = capture.open()
        capture.close(over)
        assert (await chat(client, over)).status_code == 401
    assert (far.asked, session.calls, session.trace, over.calls) == ([], [], (), [])


@pytest.mark.parametrize("header", ["x-api-key", "x-goog-api-key", "api-key"])
async def test_the_key_goes_on_in_the_header_that_the_token_came_in(header: str) -> None:
    async with proxied(answer({"content": []})) as (far, capture, client):
        session = capture.open()
        await client.post("/v1/messages?beta=true", json=HELLO, headers={header: session.token})
    (asked,) = far.asked
    assert (asked.path, asked.headers[header]) == ("/v1/messages?beta=true", KEY)
    assert "authorization" not in asked.headers
    assert session.token not in json.dumps(asked.headers)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models", 200),
        ("POST", "/v1beta/models/m-1:generateContent", 200),
        ("POST", "/v1/messages/count_tokens", 200),
        ("GET", "/v1/files", 404),
        ("POST", "/v1/files", 404),
        ("DELETE", "/v1/models/m-1", 404),
        ("GET", "/v1/models/..%2F..%2Ffiles", 404),
        ("POST", "/v1beta/models/..", 404),
        ("GET", "/v1/chat/completions", 404),
    ],
)
async def test_the_key_opens_model_calls_alone(method: str, path: str, status: int) -> None:
    async with proxied(answer({})) as (far, capture, client):
        session = capture.open()
        url = httpx.URL(capture.url).copy_with(raw_path=path.encode())
        reply = await client.request(method, url, headers=bearer(session), content=b"{}")
    assert (reply.status_code, len(far.asked)) == (status, status == 200)
    assert len(session.calls) == ("generateContent" in path)


async def test_a_stream_arrives_before_the_upstream_has_finished_and_is_noted_whole() -> None:
    heard = asyncio.Event()
    function = {"index": 0, "id": "t1", "function": {"name": "ls", "arguments": '{"a"'}}

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        await send_event(writer, delta(role="assistant", content="Hel"))
        await heard.wait()  # goes on only when the agent has the first piece
        await send_event(writer, delta(content="lo."))
        await send_event(writer, delta(tool_calls=[function]))
        await send_event(writer, delta(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}]))
        await send_event(writer, {"model": "m-1", "choices": [], "usage": CHAT["usage"]})
        await send_event(writer, "[DONE]")
        writer.write(b"0\r\n\r\n")

    async with proxied(play) as (_, capture, client):
        session = capture.open()
        body = {**HELLO, "stream": True}
        async with client.stream("POST", "/v1/chat/completions", json=body, headers=bearer(session)) as reply:
            pieces = reply.aiter_bytes()
            first = await anext(pieces)
            assert b"Hel" in first
            assert b"lo." not in first
            heard.set()
            rest = b"".join([piece async for piece in pieces])
    assert rest.endswith(b"data: [DONE]\n\n")
    assert said(session)[1] == ("message", "assistant", "Hello.")
    assert json.loads(session.trace[1].arguments) == [{"id": "t1", "name": "ls", "arguments": '{"a":1}'}]
    assert (session.tokens.tokens_in, session.turns) == (11, 1)
    assert not any(event.failed for event in session.trace)


async def test_an_agent_that_has_left_when_all_was_said_left_nothing_undone() -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        await send_event(writer, delta(content="Hello."))
        await send_event(writer, "[DONE]")
        await asyncio.sleep(600)

    async with proxied(play) as (far, capture, client):
        session = capture.open()
        async with client.stream("POST", "/v1/chat/completions", json=HELLO, headers=bearer(session)) as reply:
            async for piece in reply.aiter_bytes():
                if b"[DONE]" in piece:
                    break
        await far.abandoned.wait()
        await until(lambda: session.calls != [])
    assert (session.calls[0].answered, said(session)[1][2]) == (True, "Hello.")


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  # what is waited for says nothing
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("begun", [True, False])
async def test_an_agent_that_leaves_ends_the_upstreams_work(begun: bool) -> None:
    reached = asyncio.Event()

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if begun:
            writer.write(STREAM_HEAD)
            await send_event(writer, delta(content="So "))
        reached.set()
        await asyncio.sleep(600)

    async with proxied(play) as (far, capture, client):
        session = capture.open()
        asking = asyncio.create_task(chat(client, session))
        await reached.wait()
        asking.cancel()
        await asyncio.wait({asking})
        await far.abandoned.wait()
        await until(lambda: session.calls != [])
    assert session.calls[0].answered is False
    assert ("error", "model call", "the agent left before the reply was over") in said(session)
    assert (("message", "assistant", "So ") in said(session)) is begun


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Oops", "401 Unauthorized", "400 Bad Request"])
async def test_an_upstreams_error_passes_with_its_status(status: str) -> None:
    play = answer({"error": {"message": "no: " + KEY}}, status=status, headers="Retry-After: 7\r\n")
    async with proxied(play) as (_, capture, client):
        session = capture.open()
        reply = await chat(client, session)
    assert (reply.status_code, reply.headers["retry-after"]) == (int(status[:3]), "7")
    assert ("error", f"status {status[:3]}", "no: [redacted]") in said(session)
    assert session.trace[-1].failed
    assert (session.tokens.tokens_in, session.turns) == (None, 0)


async def test_an_upstream_that_is_not_there_is_502() -> None:
    async with proxied(answer(CHAT)) as (far, _, __):
        url = far.url
    async with (
        Capture(CaptureConfig(upstream=url), KEY) as capture,
        httpx.AsyncClient(trust_env=False, verify=False) as client,
    ):
        session = capture.open()
        path = f"{capture.url}/v1/chat/completions"
        reply = await client.post(path, json=HELLO, headers=bearer(session))
    assert (reply.status_code, reply.json()["error"]["code"]) == (502, 502)
    assert said(session)[-2:] == [
        ("error", "model call", "the upstream could not be reached: ConnectError"),
        ("process", "model call", "no answer"),
    ]


async def test_an_upstream_that_is_silent_is_504() -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(600)

    async with proxied(play, timeout_s=0.2) as (_, capture, client):
        session = capture.open()
        reply = await chat(client, session)
    assert reply.status_code == 504
    assert "did not answer in time" in said(session)[-2][2]


@pytest.mark.parametrize("head", [STREAM_HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", b"nonsense\r\n\r\n"])
async def test_an_upstream_that_breaks_off_is_not_taken_for_whole(head: bytes) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        if head == STREAM_HEAD:
            await send_event(writer, delta(content="So "))

    async with proxied(play) as (_, capture, client):
        session = capture.open()
        if head.startswith(b"nonsense"):
            assert (await chat(client, session)).status_code == 502
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                await chat(client, session)
        await until(lambda: session.calls != [])
    assert session.calls[0].answered is False
    assert any("RemoteProtocolError" in event.text for event in session.trace if event.kind == "error")


async def test_a_reply_that_is_no_json_passes_and_is_said() -> None:
    async with proxied(answer("<html>")) as (_, capture, client):
        session = capture.open()
        assert (await chat(client, session)).text == "<html>"
    assert ("error", "model call", "the reply is no JSON object") in said(session)
    assert ("message", "assistant", "<html>") in said(session)


async def test_a_compressed_reply_passes_and_is_read() -> None:
    data = gzip.compress(json.dumps(CHAT).encode())
    async with proxied(answer(data, headers="Content-Encoding: gzip\r\n")) as (far, capture, client):
        session = capture.open()
        assert (await chat(client, session)).json() == CHAT
    assert far.asked[0].headers["accept-encoding"] == "identity"
    assert said(session)[1][2] == "Hello."


async def test_what_was_said_before_is_not_noted_again_and_tool_results_find_their_call() -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
    reply = {"choices": [{"message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    async with proxied(answer(reply)) as (far, capture, client):
        session = capture.open()
        await chat(client, session)
        far.play = answer(CHAT)
        more = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "t1", "content": "a.py"}]
        await chat(client, session, {**HELLO, "messages": [*HELLO["messages"], *more]})
    assert [one[:3] for one in said(session) if one[0] != "process"] == [
        ("message", "user", "Hi."),
        ("message", "assistant", ""),
        ("tool", "ls", "a.py"),
        ("message", "assistant", "Hello."),
    ]
    assert [event.turn for event in session.trace] == [0, 0, 0, 1, 1, 1]
    assert (session.turns, session.tokens.tokens_in) == (1, None)


async def test_sessions_at_once_do_not_mix() -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        words = json.loads(asked.body)["messages"][0]["content"]
        choice = {"message": {"content": f"re {words}"}, "finish_reason": "stop"}
        await answer({**CHAT, "choices": [choice]})(asked, writer)

    async with proxied(play) as (_, capture, client):
        sessions = [capture.open() for _ in range(5)]
        bodies = [{"model": "m-1", "messages": [{"role": "user", "content": f"s{n}"}]} for n in range(5)]
        await asyncio.gather(*(chat(client, s, b) for s, b in zip(sessions, bodies, strict=True) for _ in range(4)))
    for n, session in enumerate(sessions):
        assert len(session.calls) == 4
        assert {one[2] for one in said(session) if one[0] == "message"} == {f"s{n}", f"re s{n}"}


async def test_a_request_over_the_limit_is_refused() -> None:
    async with proxied(answer(CHAT), request_limit_bytes=1000) as (far, capture, client):
        session = capture.open()
        reply = await chat(client, session, {**HELLO, "pad": "x" * 2000})
    assert (reply.status_code, far.asked, session.calls) == (413, [], [])


async def test_a_record_that_is_full_says_so_and_lets_all_through() -> None:
    big = {**CHAT, "choices": [{"message": {"content": "x" * 5000}, "finish_reason": "stop"}]}
    async with proxied(answer(big), record_limit_bytes=1000) as (_, capture, client):
        session = capture.open()
        assert (await chat(client, session)).json() == big
        assert (await chat(client, session)).json() == big
    assert len(session.calls) == 2
    assert sum(one[2].startswith("not kept") for one in said(session)) == 2
    assert max(len(one[2]) for one in said(session)) < 1100


def test_an_upstream_that_is_no_url_is_refused() -> None:
    for url in ("ftp://x", "api.openai.com/v1", "http://", "https://me:secret@host/v1"):
        with pytest.raises(UsageError) as caught:
            Capture(CaptureConfig(upstream=url))
        assert "secret" not in str(caught.value)


async def test_it_listens_on_this_machine_alone_and_no_longer_than_it_is_entered() -> None:
    async with Capture(CaptureConfig(upstream="https://api.example.org/v1"), KEY) as capture:
        assert capture.url.startswith("http://127.0.0.1:")
        assert (capture.local, KEY in repr(capture)) == (False, False)
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(capture.url)
