"""Listening: an HTTP server on a socket of ours, or MCP on standard input and output, until a signal ends it."""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import uvicorn

from experiments.serve.app import guarded
from experiments.serve.config import ServeConfig
from experiments.serve.mcp_tools import mcp_server
from experiments.serve.packets import Http
from experiments.serve.service import Service
from experiments.serve.serving import Told, serving
from experiments.serve.tokens import VARIABLE, token_of
from signatures.errors import UsageError

BACKLOG: Final = 2048
GRACE_S: Final = 10
"""Seconds that requests under way get at the end."""


async def listen(config: ServeConfig, told: Told) -> None:
    """Serve HTTP until SIGTERM or Ctrl-C. Raises UsageError: no token, or the address is taken; as `serving` does."""
    token = token_of(config)
    with _bound(config) as bound:
        async with serving(config, told) as service:
            mcp = mcp_server(service)
            routes = mcp.streamable_http_app(
                json_response=True,
                stateless_http=True,
                max_request_body_size=config.limits.body_bytes,
                host=config.host,
            ).routes
            app = guarded(service, token.text, mcp=list(routes))
            server = _server(app, config)
            with _ended_by_sigterm(server):  # from before it is said that it serves
                async with mcp.session_manager.run():
                    bound.listen(BACKLOG)
                    _say(service, config, bound, told)
                    if token.made:
                        told(f"token (made for this run; set {VARIABLE} to choose it): {token.text}")
                    with _heap_at_rest():
                        await server.serve(sockets=[bound])


async def listen_stdio(config: ServeConfig, told: Told) -> None:
    """Serve MCP on standard input and output until the input ends. Raises as `serving` does."""
    async with serving(config, told) as service:
        release = service.health()
        told(f"MCP on standard input and output: {release.name}, release {release.release}")
        await mcp_server(service).run_stdio_async()


def _server(app: object, config: ServeConfig) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]  # uvicorn's own protocol types differ from Starlette's
            http=Http,
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # a connection is counted by who made it, not by what it says
            limit_concurrency=config.limits.connections,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=GRACE_S,
        )
    )


def _say(service: Service, config: ServeConfig, bound: socket.socket, told: Told) -> None:
    port = bound.getsockname()[1]
    host = f"[{config.host}]" if ":" in config.host else config.host
    health = service.health()
    told(f"serving {health.name}, release {health.release}, at http://{host}:{port}")


@contextmanager
def _bound(config: ServeConfig) -> Iterator[socket.socket]:
    """A socket at the address, not listening yet. Raises UsageError where it cannot be had."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # Named TCP, or asyncio does not see that it is, leaves Nagle's algorithm on, and each answer waits 40 ms.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((config.host, config.port))
        except OSError as error:
            raise UsageError(f"{config.host}:{config.port} cannot be listened at: {error}") from error
        yield bound


@contextmanager
def _heap_at_rest() -> Iterator[None]:
    """Collect garbage among what comes from now on: to look at all that was imported takes a tenth of a second."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _ended_by_sigterm(server: uvicorn.Server) -> Iterator[None]:
    """End the server also by a signal that comes before it runs, and let uvicorn have its own from then on.

    It raises that once more, for whoever was there before: here it does nothing, so that what is open is closed, and
    the command ends well.
    """

    def noted(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    before = signal.signal(signal.SIGTERM, noted)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
