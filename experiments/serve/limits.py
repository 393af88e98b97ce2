"""What stands before every request: the token, the size and the pace of its body, and how long a connection lasts."""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from experiments.serve.config import LimitsConfig
from experiments.serve.problems import BROKEN, Refused, body_of, told

OPEN: Final = ("/healthz",)
"""Paths that need no token."""
PATIENCE: Final = 4
"""Times the allowed size that a client may go on sending before it is cut off."""


class Guard:
    """An ASGI application around another one. It is handed a request whole, or never."""

    def __init__(self, app: ASGIApp, token: str, limits: LimitsConfig) -> None:
        self._app = app
        self._token = f"Bearer {token}".encode()
        self._limits = limits
        self._asked: OrderedDict[tuple[str, int], int] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http":
            return  # there are no web sockets here, and what must be opened was opened before
        try:
            self._require_token(scope)
            body = await self._body(scope, receive)
        except Refused as error:
            await _answer(send, error.status, told(error))
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            whole: Message = {"type": "http.request", "body": body, "more_body": False}
            await self._app(scope, once(whole, receive), self._last(scope, sending))
        finally:
            if not begun:  # the server logs what was raised; the client still gets an answer of ours
                await _answer(send, 500, body_of("InternalError", BROKEN))

    def _require_token(self, scope: Scope) -> None:
        if scope["path"] in OPEN:
            return
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1 or not hmac.compare_digest(given[0], self._token):
            raise Refused(401, "this server needs its bearer token: Authorization: Bearer ...")

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body. Raises Refused where it is too long, or too slow.

        Of one that is too long some more is read, and dropped: a client that is still sending would miss the answer.
        """
        most = self._limits.body_bytes
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        parts: list[bytes] = []
        size = 0
        long = not said.isdigit() or len(said) > 20 or int(said) > most
        try:
            async with asyncio.timeout(self._limits.body_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the request ended before its body")
                    size += len(message.get("body", b""))
                    long = long or size > most
                    ended = not message.get("more_body", False)
                    if long and (ended or size > PATIENCE * most):
                        raise Refused(413, f"a body takes at most {most} bytes")
                    if not long:
                        parts.append(message.get("body", b""))
                        if ended:
                            return b"".join(parts)
        except TimeoutError as error:
            raise Refused(408, f"the body did not arrive in {self._limits.body_s:g} s") from error

    def _last(self, scope: Scope, send: Send) -> Send:
        """`send`, which says that the connection ends here once it has served its number of requests."""
        client = scope.get("client")
        if client is None:
            return send
        key = (str(client[0]), int(client[1]))
        asked = self._asked.pop(key, 0) + 1
        if asked < self._limits.requests_per_connection:
            self._asked[key] = asked
            while len(self._asked) > 4 * self._limits.connections:
                self._asked.popitem(last=False)
            return send

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        return closing


def once(message: Message, receive: Receive) -> Receive:
    """Hands over a message that was received, then waits for the client to go, as `receive` does."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return message

    return again


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers.append((b"connection", b"close"))  # what is left of the body is not waited for
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
