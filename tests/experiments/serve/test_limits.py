"""The guard, against an application that says what it was handed. Messages are ASGI's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from experiments.serve.config import LimitsConfig
from experiments.serve.limits import Guard

TOKEN = "0123456789abcdef"
LIMITS = LimitsConfig(body_bytes=1024, body_s=0.2, requests_per_connection=3, connections=2)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length of the body; fails where the path says so."""
    if scope["path"] == "/broken":
        raise RuntimeError("a bug")
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(message["body"])).encode()})


async def asked(
    guard: Guard,
    parts: Iterable[bytes] = (b"",),
    *,
    path: str = "/x",
    headers: Iterable[tuple[bytes, bytes]] = ((b"authorization", b"Bearer " + TOKEN.encode()),),
    port: int = 1,
    stall: bool = False,
) -> tuple[int, Any, list[tuple[bytes, bytes]], int]:
    """Status, body, headers, and how many parts of the body were read."""
    left, sent, read = list(parts), list[Message](), 0

    async def receive() -> Message:
        nonlocal read
        if not left:
            await asyncio.sleep(10 if stall else 0)
            return {"type": "http.disconnect"}
        read += 1
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left) or stall}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "path": path, "headers": list(headers), "client": ("127.0.0.1", port)}
    await guard(scope, receive, send)
    start, body = sent
    return start["status"], json.loads(body["body"]), start["headers"], read


async def test_a_request_with_the_token_is_passed_on_whole() -> None:
    status, body, _, _ = await asked(Guard(echo, TOKEN, LIMITS), [b"a" * 10, b"b" * 5])
    assert (status, body) == (200, 15)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"authorization", b"Bearer wrong"),),
        ((b"authorization", TOKEN.encode()),),
        ((b"authorization", b"Bearer " + TOKEN.encode()), (b"authorization", b"Bearer x")),
        ((b"authorization", "Bearer ü".encode()),),
    ],
)
async def test_without_the_token_nothing_is_passed_on(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    status, body, said, read = await asked(Guard(echo, TOKEN, LIMITS), headers=headers)
    assert (status, body["error"]["type"], read) == (401, "Refused", 0)
    assert (b"www-authenticate", b"Bearer") in said
    assert (await asked(Guard(echo, TOKEN, LIMITS), headers=headers, path="/healthz"))[0] == 200


async def test_a_body_that_is_too_long_is_never_held_nor_read_whole() -> None:
    guard = Guard(echo, TOKEN, LIMITS)
    status, body, _, read = await asked(guard, [b"x" * 512] * 1000)
    assert (status, body["error"]["message"]) == (413, "a body takes at most 1024 bytes")
    assert read < 12
    own = (b"authorization", b"Bearer " + TOKEN.encode())
    for length in (b"1025", b"-1", b"9" * 30, b"x"):
        assert (await asked(guard, [b"x"], headers=(own, (b"content-length", length))))[0] == 413
    assert (await asked(guard, [b"x" * 1024]))[:2] == (200, 1024)


async def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    guard = Guard(echo, TOKEN, LIMITS)
    assert (await asked(guard, [b"x"], stall=True))[0] == 408
    assert (await asked(guard, []))[0] == 400


async def test_a_connection_ends_after_its_number_of_requests() -> None:
    guard = Guard(echo, TOKEN, LIMITS)
    closes = [(b"connection", b"close") in (await asked(guard))[2] for _ in range(6)]
    assert closes == [False, False, True, False, False, True]
    for port in range(2, 40):
        await asked(guard, port=port)
    assert len(guard._asked) <= 8


async def test_a_bug_is_answered_and_raised() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    own = [(b"authorization", b"Bearer " + TOKEN.encode())]
    with pytest.raises(RuntimeError, match="a bug"):
        await Guard(echo, TOKEN, LIMITS)({"type": "http", "path": "/broken", "headers": own}, receive, send)
    assert sent[0]["status"] == 500
    assert b"a bug" not in sent[1]["body"]


async def test_a_web_socket_gets_nothing() -> None:
    async def never(message: Any = None) -> Any:
        raise AssertionError

    await Guard(echo, TOKEN, LIMITS)({"type": "websocket", "path": "/"}, never, never)
