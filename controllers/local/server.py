"""The child process that serves one model: started on first use, started again when it died, stopped at exit."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

from controllers.local.options import ServerOptions
from signatures.errors import ProviderError

PROGRAM: Final = Path(__file__).with_name("serve.py")
TAIL_LINES: Final = 5
SETTLE_S: Final = 0.5
"""A process that is killed closes its sockets a moment before its parent can see that it ended."""


class Endpoint(NamedTuple):
    """Where an OpenAI-compatible server is, what it asks for and what it calls the model."""

    base_url: str
    api_key: str
    model: str


class LocalServer:
    """One model's server in this process. Safe to call from any thread; a forked process gets a server of its own."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: threading.Thread | None = None
        self._endpoint: Endpoint | None = None
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    @property
    def pid(self) -> int | None:
        """Of the child that runs now, None where none does."""
        running = self._process is not None and self._owner == os.getpid() and self._process.poll() is None
        return self._process.pid if running and self._process is not None else None

    def endpoint(self) -> Endpoint:
        """Where the server listens; it is started where it does not run, and is healthy on return.

        Raises ProviderError, with the child's last lines, where it does not come up.
        """
        with self._lock:
            if self._owner != os.getpid():
                self._process, self._keeper, self._owner = None, None, os.getpid()
            if self._endpoint is None or self.pid is None:
                self._endpoint = None
                self._endpoint = self._start()
            return self._endpoint

    def failure(self) -> str | None:
        """Why the child that was started has ended, with its last lines; None where it runs."""
        process = self._process
        if process is None:
            return f"the server of {self.options.name} was stopped"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SETTLE_S)
        if process.poll() is None:
            return None
        return f"the server of {self.options.name} ended with code {process.returncode}: {self._last_lines()}"

    def close(self) -> None:
        """Ask the child to stop, and kill it where it has not after the grace period. A later call starts it again."""
        with self._lock:
            process, self._process, self._endpoint = self._process, None, None
            if process is None or self._owner != os.getpid():
                return
            stop(process, self.options.grace_s)
            if self._keeper is not None:
                self._keeper.join(self.options.grace_s)

    def _start(self) -> Endpoint:
        self._tail.clear()
        read_fd, write_fd = os.pipe()
        started: SimpleQueue[subprocess.Popen[bytes] | OSError] = SimpleQueue()
        api_key = secrets.token_urlsafe(16)
        self._keeper = threading.Thread(target=self._keep, args=(started, write_fd, api_key), daemon=True)
        self._keeper.start()
        try:
            process = started.get()
            os.close(write_fd)
            if isinstance(process, OSError):
                raise ProviderError(f"the server of {self.options.name} cannot be started: {process}")
            self._process = process
            give_up = time.monotonic() + self.options.start_timeout_s
            with contextlib.ExitStack() as unless_up:
                unless_up.callback(stop, process, 0.0)
                address = self._address(read_fd, give_up)
                self._wait_healthy(address, give_up)
                unless_up.pop_all()
        finally:
            os.close(read_fd)
        return Endpoint(f"{address}/v1", api_key, self.options.name)

    def _keep(self, started: SimpleQueue[subprocess.Popen[bytes] | OSError], write_fd: int, api_key: str) -> None:
        """Start the child and read what it says until it ends: it dies with this thread, so the thread outlives it."""
        spec = {**self.options.model_dump(), "name": self.options.name, "api_key": api_key}
        spec |= {"parent": os.getpid(), "report_fd": write_fd}
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", str(PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, "OMP_WAIT_POLICY": "passive"},
                pass_fds=(write_fd,),
                start_new_session=True,
            )
        except OSError as error:
            started.put(error)
            return
        with process:
            assert process.stdin is not None  # both are pipes
            assert process.stderr is not None
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(json.dumps(spec).encode())
            started.put(process)
            for line in process.stderr:
                self._tail.append(line.decode(errors="backslashreplace").strip())

    def _address(self, read_fd: int, give_up: float) -> str:
        """What the child reports. Raises ProviderError where it ends first, or takes too long."""
        ready, _, _ = select.select([read_fd], [], [], max(0.0, give_up - time.monotonic()))
        if not ready:
            raise ProviderError(f"{self.options.name} was not loaded within {self.options.start_timeout_s:g} s")
        address = os.read(read_fd, 256).decode().strip()
        if not address:
            raise ProviderError(self.failure() or f"the server of {self.options.name} said nothing")
        return address

    def _wait_healthy(self, address: str, give_up: float) -> None:
        while not healthy(address):
            if self.pid is None:
                raise ProviderError(self.failure() or f"the server of {self.options.name} ended")
            if time.monotonic() > give_up:
                raise ProviderError(f"{self.options.name} was not healthy within {self.options.start_timeout_s:g} s")
            time.sleep(0.05)

    def _last_lines(self) -> str:
        return " | ".join(self._tail) or "it said nothing"


@lru_cache(maxsize=64)
def server_of(options: ServerOptions) -> LocalServer:
    """The one server of these options in this process; it is stopped when the process ends."""
    server = LocalServer(options)
    atexit.register(server.close)
    return server


def stop(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """SIGTERM, and after `grace_s` SIGKILL for the child's whole group. Returns when the child has ended."""
    if process.poll() is None and grace_s > 0:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def healthy(address: str) -> bool:
    """Whether the server at `address` says that it can take requests. No proxy is asked: the server is on this host."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
