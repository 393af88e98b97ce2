"""A local proxy between agents and a model's API: a token a session, real keys only on the far side."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import secrets
import socket
from collections.abc import AsyncIterator, Generator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final

import httpx
import uvicorn
from pydantic import Field

from controllers.capture.blotting import long_enough
from controllers.capture.forwarding import NOT_SENT, Forwarding, refuse, shown_token
from controllers.capture.session import Session
from signatures.errors import UsageError
from signatures.records import NonNegative, Record

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

ALLOWED: Final = re.compile(
    r"/v1/(?:chat/completions|completions|responses|messages|messages/count_tokens|embeddings)"
    r"|/v1beta/models/\w[\w.:-]*"
)
"paths of model calls; an agent gets nothing else for the key, such as files or other people's jobs"
LISTED: Final = re.compile(r"/v1(?:beta)?/models(?:/\w[\w.:-]*)*")
"no part begins with a dot: `..` would lead elsewhere"
UNNOTED: Final = "/v1/messages/count_tokens"
CONNECTIONS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=0)
"a new one each call: one that the upstream is about to close would fail a call that could have been made"


class CaptureConfig(Record):
    """An upstream and the limits of what goes through."""

    upstream: str
    "base URL of an API, with or without its `/v1`"
    timeout_s: NonNegative = 600.0
    "between two pieces of a reply"
    request_limit_bytes: int = Field(default=32 << 20, ge=1)
    record_limit_bytes: int = Field(default=64 << 20, ge=0)
    "of requests and replies kept per session; what goes through is not limited by it"


class Capture:
    """The proxy, while it is entered: it listens on 127.0.0.1 alone, at a free port.

    A call needs the token of an open session, else it is answered with 401 and noted nowhere. The key replaces the
    token in the header it came in; it is kept in memory only.
    """

    def __init__(self, config: CaptureConfig, key: str | None = None) -> None:
        """`key`: for the upstream; None where it needs none. Raises UsageError where the upstream is no http URL."""
        url = httpx.URL(config.upstream)
        if url.scheme not in ("http", "https") or not url.host or url.userinfo:
            raise UsageError("the upstream is an http or https URL with a host, and with no user or password in it")
        self._config = config
        self._root = str(url).rstrip("/").removesuffix("/v1")
        self._key = key
        self._local = _is_local(url.host)
        self._sessions: dict[str, Session] = {}
        self._stack = contextlib.AsyncExitStack()
        self._client: httpx.AsyncClient | None = None
        self._port = 0

    @property
    def local(self) -> bool:
        """Whether the upstream is on this machine: then nothing has a price."""
        return self._local

    @property
    def url(self) -> str:
        """Where agents reach it, without `/v1`."""
        return f"http://127.0.0.1:{self._port}"

    def open(self) -> Session:
        """A new session, with a token of its own."""
        token = secrets.token_urlsafe(32)
        known = long_enough(self._key or "", token)
        session = Session(token, known, self._config.record_limit_bytes)
        self._sessions[session.token] = session
        return session

    def close(self, session: Session) -> None:
        """From here on its token is refused."""
        self._sessions.pop(session.token, None)

    async def __aenter__(self) -> Capture:
        """Listen."""
        async with contextlib.AsyncExitStack() as stack:
            timeout = httpx.Timeout(self._config.timeout_s, connect=min(10.0, self._config.timeout_s))
            # A proxy of the environment is for hosts out there.
            secure = self._root.startswith("https:")  # reading the certificates takes a while
            client = httpx.AsyncClient(timeout=timeout, trust_env=not self._local, verify=secure, limits=CONNECTIONS)
            self._client = await stack.enter_async_context(client)
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
            self._port = listener.getsockname()[1]
            await stack.enter_async_context(_serving(self._answer, listener))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop listening; calls under way are ended and noted."""
        await self._stack.aclose()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        header, token = shown_token(headers)
        session = self._sessions.get(token)
        method, path = str(scope["method"]), str(scope["path"])
        if session is None:
            await refuse(send, 401, "this proxy wants the token that the attempt was given")
        elif not (ALLOWED if method == "POST" else LISTED if method == "GET" else _NONE).fullmatch(path):
            await refuse(send, 404, f"{method} {path} is no model call")
        elif (body := await _body(receive, self._config.request_limit_bytes)) is None:
            await refuse(send, 413, f"a request may have {self._config.request_limit_bytes} bytes")
        else:
            noted = session if method == "POST" and path != UNNOTED else Session("", (), 0)
            request = self._request(method, path, scope["query_string"], (header, headers), body)
            assert self._client is not None  # it answers only while it is entered
            await Forwarding(self._client, request, noted, path).run(receive, send)

    def _request(
        self, method: str, path: str, query: bytes, shown: tuple[str, Mapping[str, str]], body: bytes
    ) -> httpx.Request:
        header, headers = shown
        sent = {name: value for name, value in headers.items() if name not in NOT_SENT}
        sent["accept-encoding"] = "identity"
        if self._key is not None:
            sent[header] = f"Bearer {self._key}" if header == "authorization" else self._key
        url = f"{self._root}{path}?{query.decode('latin-1')}" if query else f"{self._root}{path}"
        assert self._client is not None
        return self._client.build_request(method, url, headers=sent, content=body)


_NONE: Final = re.compile(r"(?!)")


class _Server(uvicorn.Server):
    """uvicorn inside another program's loop: signals stay with that program, and it says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Nothing is captured."""
        yield


@contextlib.asynccontextmanager
async def _serving(app: object, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn's own protocol types
        interface="asgi3",  # not guessed from a bound method
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        listening = asyncio.create_task(server.listening.wait())
        await asyncio.wait({listening, running}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        yield
    finally:
        server.should_exit = True
        await running


async def _body(receive: Receive, limit: int) -> bytes | None:
    """The request's body; None where it is larger than `limit` or never came whole."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None  # nobody will read the answer
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
