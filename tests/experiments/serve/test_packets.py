from __future__ import annotations

import asyncio
import socket

import uvicorn
from starlette.types import Receive, Scope, Send

from experiments.serve.packets import Http, Joining
from tests.worlds.harness import until


class Recording(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("h", 1)})
        self.written: list[bytes] = []
        self.ended = ""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def is_closing(self) -> bool:
        return bool(self.ended)


async def test_writes_of_one_turn_leave_together_in_order() -> None:
    inner = Recording()
    joining = Joining(inner, asyncio.get_running_loop())
    for data in (b"a", b"", bytearray(b"b"), memoryview(b"c")):
        joining.write(data)
    assert inner.written == []
    await asyncio.sleep(0)
    joining.write(b"d")
    await asyncio.sleep(0)
    assert inner.written == [b"abc", b"d"]


async def test_what_was_written_leaves_before_it_is_closed_and_not_where_it_is_aborted() -> None:
    one, other = Recording(), Recording()
    for inner in (one, other):
        joining = Joining(inner, asyncio.get_running_loop())
        joining.write(b"last")
        assert not joining.is_closing()
        joining.close() if inner is one else joining.abort()
        assert joining.is_closing()
    await asyncio.sleep(0)
    assert (one.written, one.ended) == ([b"last"], "closed")
    assert (other.written, other.ended) == ([], "aborted")
    assert Joining(one, asyncio.get_running_loop()).get_extra_info("peername") == ("h", 1)


async def test_a_server_answers_in_one_packet_and_a_long_answer_whole() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = b"x" * int(scope["path"][1:])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=Http, lifespan="off", log_level="warning")  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        await until(lambda: server.started)
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        try:
            writer.write(b"GET /5 HTTP/1.1\r\nhost: h\r\n\r\n")
            assert (await reader.read(4096)).endswith(b"\r\n\r\nxxxxx")
            writer.write(
                b"GET /3000000 HTTP/1.1\r\nhost: h\r\n\r\nGET /2 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
            )
            assert (await reader.read()).count(b"x") == 3_000_002
        finally:
            writer.close()
            await writer.wait_closed()
            server.should_exit = True
            await serving
