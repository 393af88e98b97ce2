"""An agent harness of the planted world: it runs the worker, asks a server what is next, and reports, over HTTP.

And the server itself as a process of its own, to be started, killed and started again.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from controllers import Worker
from signatures.records import AttemptContext, AttemptResult, Steer, Task

TOKEN: Final = "a-token-of-the-tests-0123456789"
BENCHMARK: Final = "tests.worlds.planted:PlantedBenchmark"
ROOT: Final = Path(__file__).resolve().parents[2]
START_S: Final = 120.0


def headers(token: str = TOKEN) -> dict[str, str]:
    """What every request bears."""
    return {"authorization": f"Bearer {token}"}


def begin_body(task: Task, key: str | None = None) -> dict[str, Any]:
    """The body of POST /episodes."""
    return {"task": {"id": task.digest, "prompt": task.prompt}, "key": key}


async def attempted(due: Mapping[str, Any], task: Task, worker: Worker) -> dict[str, Any]:
    """The worker's attempt, as the body that reports it."""
    context = AttemptContext(
        attempt_id=due["attempt_id"],
        steer=Steer(**due["steer"]),
        seed=due["seed"],
        repeat=due["repeat"],
        turns_limit=due["turns_limit"],
        wall_limit_s=due["wall_limit_s"],
    )
    return report_body(due["attempt_id"], await worker.attempt(task, context, due["start_state"]))


def report_body(attempt_id: str, result: AttemptResult) -> dict[str, Any]:
    """The body of POST /episodes/{id}/attempts."""
    return {
        "attempt_id": attempt_id,
        "output": result.output,
        "state": result.state,
        "outcome": result.outcome,
        "trace": [event.model_dump(exclude={"schema_version"}) for event in result.trace],
        "cost": result.cost.model_dump(exclude={"schema_version"}),
    }


class Wire:
    """One connection that is kept, and made again when it breaks. HTTP by hand: a client library costs more than
    the server that is measured.
    """

    def __init__(self, port: int, token: str = TOKEN) -> None:
        self._port = port
        self._head = f"host: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json"
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: Mapping[str, Any] | None) -> tuple[int, Any]:
        """Status and JSON of the answer. Raises OSError and EOFError where the server is gone."""
        whole = False
        try:
            if self._open is None:
                self._open = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._open
            data = b"" if body is None else json.dumps(body).encode()
            writer.write(f"POST {path} HTTP/1.1\r\n{self._head}\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            size = next(int(line.partition(":")[2]) for line in head.splitlines() if line.startswith("content-length"))
            answer = json.loads(await reader.readexactly(size))
            whole = "connection: close" not in head
            return int(head.split()[1]), answer
        finally:
            if not whole:
                await self.close()

    async def close(self) -> None:
        """Let go of the connection."""
        if self._open is not None:
            _, writer = self._open
            self._open = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@dataclass
class Harness:
    """Plays episodes against a server, asking again for as long as it is down."""

    port: int
    worker: Worker
    think_s: float = 0.0
    "that an attempt takes, beside the worker's own time"
    patience_s: float = 60.0
    acknowledged: list[str] = field(default_factory=list)
    "attempts whose report was answered"
    decide_s: list[float] = field(default_factory=list)
    report_s: list[float] = field(default_factory=list)
    retries: int = 0

    async def lane(self, tasks: Sequence[Task], prefix: str) -> list[dict[str, Any]]:
        """Episodes one after another over one connection: their last moves."""
        wire = Wire(self.port)
        try:
            return [await self.play(wire, task, f"{prefix}.{number}") for number, task in enumerate(tasks)]
        finally:
            await wire.close()

    async def play(self, wire: Wire, task: Task, key: str | None = None) -> dict[str, Any]:
        """One episode to its end: the last move."""
        id = (await self.ask(wire, "/episodes", begin_body(task, key)))["episode_id"]
        while True:
            began = time.perf_counter()
            move = await self.ask(wire, f"/episodes/{id}/decide", None)
            self.decide_s.append(time.perf_counter() - began)
            if move["done"]:
                return move
            for due in move["attempts"]:
                await asyncio.sleep(self.think_s)
                body = await attempted(due, task, self.worker)
                began = time.perf_counter()
                await self.ask(wire, f"/episodes/{id}/attempts", body)
                self.report_s.append(time.perf_counter() - began)
                self.acknowledged.append(due["attempt_id"])

    async def ask(self, wire: Wire, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """The answer to a request, which is sent until there is one."""
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                status, answer = await wire.post(path, body)
            except (OSError, EOFError):
                if time.monotonic() > deadline:
                    raise
                self.retries += 1
                await asyncio.sleep(0.05)
                continue
            if status >= 400:
                raise AssertionError(f"{path}: {status} {answer}")
            found: dict[str, Any] = answer
            return found


class ServerProcess:
    """`serve_run` in a child process, on a port of its own, with its files below `folder`."""

    def __init__(self, folder: Path, *overrides: str, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._overrides = overrides
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it printed."""
        return (self.folder / "server.log").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it says that it serves."""
        command = serve_command(*self._overrides, f"port={self.port}")
        with (self.folder / "server.log").open("wb") as out:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=environment(), stdout=out, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_S
        while "serving " not in self.log:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not start: {self.log}")
            time.sleep(0.05)

    def kill(self) -> None:
        """As a power cut does it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """End it well; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=60)

    def gone(self) -> None:
        """Make sure that nothing is left of it."""
        if self._process is not None and self._process.poll() is None:
            self.kill()


@contextmanager
def serving(folder: Path, *overrides: str) -> Iterator[ServerProcess]:
    """A server that runs, and is gone at the end."""
    server = ServerProcess(folder, *overrides)
    try:
        server.start()
        yield server
    finally:
        server.gone()


def serve_command(*overrides: str) -> list[str]:
    """The command that serves the release in `release/`, with files below `runs/`."""
    base = [f"benchmark={BENCHMARK}", "release=release", "root=runs"]
    return [sys.executable, "-m", "experiments.serve_run", *base, *overrides]


def environment() -> dict[str, str]:
    """Of the server: the checkout importable, the token given."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "TILLER_TOKEN": TOKEN}


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def until(holds: Callable[[], object], *, patience_s: float = 30.0) -> None:
    """Return when it holds; what is waited for has no event of its own. Raises TimeoutError."""
    async with asyncio.timeout(patience_s):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
