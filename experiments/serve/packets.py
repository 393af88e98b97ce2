"""One packet an answer: what a protocol writes in one turn of the event loop leaves in one call of the system."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Joining(asyncio.Transport):
    """A transport that gathers writes until the loop turns. Everything else is the inner one's."""

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._inner = inner
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send it when the loop turns."""
        if data:
            if not self._parts:
                self._loop.call_soon(self._flush)
            self._parts.append(bytes(data))

    def close(self) -> None:
        """Send what there is, then close."""
        self._flush()
        self._inner.close()

    def abort(self) -> None:
        """Close at once."""
        self._parts.clear()
        self._inner.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._inner.is_closing()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """The inner one's."""
        return self._inner.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Let what comes wait."""
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._inner.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol, as an upgrade does."""
        self._inner.set_protocol(protocol)

    def _flush(self) -> None:
        if self._parts:
            data, self._parts = b"".join(self._parts), []
            self._inner.write(data)


class Http(HttpToolsProtocol):
    """uvicorn's HTTP, whose answers were a packet for the head and another for the body."""

    # What uvicorn declares of it is narrower than asyncio's as well.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Write to a transport that joins."""
        super().connection_made(Joining(transport, self.loop))
