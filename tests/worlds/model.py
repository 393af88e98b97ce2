"""A model that answers as DSPy's chat format asks: in this process, or over HTTP as an OpenAI-compatible server."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GROUPS = ("fan", "pump", "valve")


def answer(prompt: str) -> str:
    """Whatever is asked, a valid answer and a function of the prompt: it reads the panel, as a good controller does."""
    asked = re.findall(r"starting with the field `\[\[ ## (\w+) ## \]\]`", prompt)[-1]
    if asked in ("hypothesis", "proposal"):
        said = {
            "hypothesis": "Looking at the lamps first helps.",
            "proposal": f"Look at the lamps. Version {len(prompt) % 7}.",
            "evidence": "The lamps say it.",
        }
    elif asked == "steer":
        said = {"steer": f"Work on the {_lit(prompt)} before anything else."}
    else:
        said = {"action": _action(prompt), "confidence": "0.9"}
    return "\n\n".join([*(f"[[ ## {name} ## ]]\n{text}" for name, text in said.items()), "[[ ## completed ## ]]"])


def _action(prompt: str) -> str:
    legal = json.loads(re.findall(r"\[\[ ## legal ## \]\]\n(\[.*?\])", prompt, re.DOTALL)[-1])
    if "done" in legal:
        return "done" if "lit: nothing" in prompt else "continue"
    return next((action for action in (_lit(prompt), "refine_last", "fanout_1") if action in legal), str(legal[0]))


def _lit(prompt: str) -> str:
    """The first group that the last checker of `correct` saw a lamp of."""
    seen = re.findall(r"lit: ([a-z ]+)", prompt)
    return next((group for group in GROUPS if seen and group in seen[-1]), "core")


@dataclass
class Server:
    """A served model: what it was asked, and what it did about it."""

    url: str
    prompts: list[str] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    "times that each prompt was sent"
    tokens: int = 0
    "of the good answers"


Trouble = Callable[[int, str], str]
"""Number of the request, from 1, and its prompt -> `ok`, `429`, `500` or `torn`."""


@contextmanager
def served(trouble: Trouble = lambda number, prompt: "ok") -> Iterator[Server]:
    """The model as an OpenAI-compatible server on this machine."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            prompt = "\n".join(str(message["content"]) for message in body["messages"])
            with lock:
                server.prompts.append(prompt)
                server.requests[prompt] += 1
                kind = trouble(len(server.prompts), prompt)
            if kind == "429":
                self._send(429, _error("slow down"), {"Retry-After": "1"})
            elif kind == "500":
                self._send(500, _error("it broke"))
            else:
                reply = _completion(str(body["model"]), answer(prompt))
                if kind == "torn":
                    self._send(200, reply[: len(reply) // 2])
                    return
                with lock:
                    server.tokens += json.loads(reply)["usage"]["total_tokens"]
                self._send(200, reply)

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server = Server(f"http://127.0.0.1:{http.server_address[1]}/v1")
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def _completion(model: str, text: str) -> bytes:
    words = len(text.split())
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": words, "total_tokens": 100 + words},
    }
    return json.dumps(body).encode()


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "server_error", "code": None}}).encode()
