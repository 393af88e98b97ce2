"""One call passed on to the upstream and back, chunk by chunk, and noted when it is over, however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import httpx

from controllers.capture.session import Exchange, Session

if TYPE_CHECKING:
    from starlette.types import Receive, Send

KEY_HEADERS: Final = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
"where an agent shows its token; the real key goes upstream in the same one"
NOT_SENT: Final = frozenset(
    {*KEY_HEADERS, "host", "content-length", "accept-encoding", "connection", "keep-alive", "cookie", "expect", "te"}
    | {"proxy-authorization", "proxy-connection", "trailer", "transfer-encoding", "upgrade"}
)
NOT_RETURNED: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server", "set-cookie"})


def shown_token(headers: Mapping[str, str]) -> tuple[str, str]:
    """The header that an agent shows its token in, and the token; two empty texts where it shows none."""
    for name in KEY_HEADERS:
        if value := headers.get(name):
            return name, value.removeprefix("Bearer ").removeprefix("bearer ").strip()
    return "", ""


class Forwarding:
    """One call of a session. `run` returns when the reply is passed on, the client has left or the upstream failed."""

    def __init__(self, client: httpx.AsyncClient, request: httpx.Request, session: Session, path: str) -> None:
        """`request`: as it goes upstream."""
        self._client = client
        self._request = request
        self._session = session
        self._exchange = Exchange(path, request.content, left=True)
        self._reply = bytearray()
        self._started = time.perf_counter()

    async def run(self, receive: Receive, send: Send) -> None:
        """Pass the call on; an agent that leaves ends the upstream's work."""
        passing = asyncio.create_task(self._pass(send))
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (leaving, passing):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving
            with contextlib.suppress(asyncio.CancelledError):
                await passing

    async def _pass(self, send: Send) -> None:
        try:
            ended = await self._exchanged(send)
            self._exchange = self._exchange._replace(ended=ended, left=False)
        finally:
            wall_s = time.perf_counter() - self._started
            self._session.note(self._exchange._replace(reply=bytes(self._reply), wall_s=wall_s))

    async def _exchanged(self, send: Send) -> str:
        """What went wrong, or nothing. The agent is told with a status while that is still possible."""
        try:
            response = await self._client.send(self._request, stream=True)
        except httpx.HTTPError as error:
            late = isinstance(error, httpx.TimeoutException)
            why = f"the upstream {'did not answer in time' if late else 'could not be reached'}: {_name(error)}"
            await refuse(send, 504 if late else 502, why)
            return why
        try:
            await self._head(response, send)
            async for chunk in response.aiter_raw():
                self._keep(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except httpx.HTTPError as error:
            # Without the last part of the body the server drops the connection, which tells the agent.
            return f"the upstream broke off: {_name(error)}"
        finally:
            await response.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return ""

    async def _head(self, response: httpx.Response, send: Send) -> None:
        self._exchange = self._exchange._replace(
            status=response.status_code,
            content_type=response.headers.get("content-type", ""),
            encoding=response.headers.get("content-encoding", ""),
        )
        headers = [(name.lower(), value) for name, value in response.headers.raw]
        kept = [pair for pair in headers if pair[0].decode("latin-1") not in NOT_RETURNED]
        await send({"type": "http.response.start", "status": response.status_code, "headers": kept})

    def _keep(self, chunk: bytes) -> None:
        first_s = self._exchange.first_s
        self._exchange = self._exchange._replace(
            size=self._exchange.size + len(chunk),
            first_s=time.perf_counter() - self._started if first_s is None else first_s,
        )
        self._reply += chunk[: max(0, self._session.room - len(self._exchange.request) - len(self._reply))]


async def refuse(send: Send, status: int, message: str) -> None:
    """Answer with an error in the shape that clients of these APIs read."""
    body = json.dumps({"error": {"message": message, "type": "proxy_error", "code": status}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _name(error: httpx.HTTPError) -> str:
    """The kind of error alone: its words may quote what was sent."""
    return type(error).__name__


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
