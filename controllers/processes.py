"""Child processes under a wall clock and an output limit, with nothing of them left alive afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import Field

from signatures.errors import UsageError
from signatures.records import NonNegative, Record

SUPERVISOR: Final = Path(__file__).with_name("supervise.py")
KILL_GRACE_S: Final = 30.0


class ProcessLimits(Record):
    """What one command may use before it is killed with all its descendants."""

    wall_s: NonNegative = 60.0
    output_bytes: int = Field(default=1 << 20, ge=0)
    "of standard output, and as much again of standard error"
    processes: int | None = Field(default=None, ge=1)
    "how many there may be at once, counted every 50 ms; None: not counted"


class Finished(NamedTuple):
    """A command that is over, with all its descendants."""

    exit_code: int
    "-n where signal n ended it"
    stdout: bytes
    stderr: bytes
    ended_by: Literal["exit", "wall", "output", "processes"]
    wall_s: float


async def run_process(
    argv: Sequence[str],
    *,
    limits: ProcessLimits,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: Path | None = None,
) -> Finished:
    """Run `argv` in a session of its own, under a subreaper, until it exits or a limit ends it.

    Output is kept whole up to the limit. The file `stdin` is its standard input, none where it is None; `env` replaces
    the environment. Descendants are killed on the way out of every path, cancellation included. Raises
    FileNotFoundError or PermissionError where the command cannot be started, UsageError off Linux.
    """
    if sys.platform != "linux":
        raise UsageError("running commands needs Linux (subreaper and pidfd)")
    status_fd, write_fd = os.pipe()
    with open(status_fd, "rb") as status:
        try:
            supervisor = await _start(argv, limits.processes, cwd=cwd, env=env, stdin=stdin, status_fd=write_fd)
        finally:
            os.close(write_fd)
        ended_by, stdout, stderr = await _collect(supervisor, limits)
        report = status.read()
    return _finished(report, argv[0], ended_by, stdout, stderr)


async def _start(
    argv: Sequence[str],
    processes: int | None,
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin: Path | None,
    status_fd: int,
) -> asyncio.subprocess.Process:
    spec = {
        "argv": list(argv),
        "stdin": str(stdin.resolve()) if stdin else None,
        "processes": processes,
        "status_fd": status_fd,
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(SUPERVISOR), json.dumps(spec)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
        env=env,
        pass_fds=(status_fd,),
        start_new_session=True,
    )


class _Capture:
    """Keeps the first bytes of a stream and goes on reading, so that the writer never blocks on us."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self.over = asyncio.Event()
        self._limit = limit

    async def drain(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        while chunk := await stream.read(1 << 16):
            self.data += chunk[: self._limit - len(self.data)]
            if len(self.data) == self._limit and (len(chunk) > self._limit or self._was_full(chunk)):
                self.over.set()


async def _collect(
    supervisor: asyncio.subprocess.Process, limits: ProcessLimits
) -> tuple[Literal["exit", "wall", "output"], bytes, bytes]:
    raise NotImplementedError


def _finished(report: bytes, command: str, ended_by: str, stdout: bytes, stderr: bytes) -> Finished:
    raise NotImplementedError
