"""Child processes under a wall clock and an output limit, with nothing of them left alive afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import shutil
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


Ending = Literal["exit", "wall", "output", "processes"]


class Finished(NamedTuple):
    """A command that is over, with all its descendants."""

    exit_code: int
    "-n where signal n ended it"
    stdout: bytes
    stderr: bytes
    ended_by: Ending
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
    # Looked up here, because execvp says "permission denied" where a folder on the path cannot be read.
    if "/" not in argv[0] and shutil.which(argv[0], path=None if env is None else env.get("PATH")) is None:
        raise FileNotFoundError(errno.ENOENT, "no such command on the path", argv[0])
    report_fd, write_fd = os.pipe()
    try:
        try:
            supervisor = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(SUPERVISOR)),
                _order(argv, limits.processes, stdin=stdin, report_fd=write_fd),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=cwd,
                env=env,
                pass_fds=(write_fd,),
                start_new_session=True,
            )
        finally:
            os.close(write_fd)
        ended_by, stdout, stderr = await _collect(supervisor, limits)
        report = os.read(report_fd, 4096)
    finally:
        os.close(report_fd)
    return _finished(report, argv[0], ended_by=ended_by, stdout=stdout, stderr=stderr)


def _order(argv: Sequence[str], processes: int | None, *, stdin: Path | None, report_fd: int) -> str:
    source = str(stdin.resolve()) if stdin else None
    return json.dumps({"argv": list(argv), "stdin": source, "processes": processes, "report_fd": report_fd})


class _Capture:
    """Keeps the first bytes of a stream and goes on reading, so that the writer never blocks on us."""

    def __init__(self, limit: int, over: asyncio.Event) -> None:
        self.data = bytearray()
        self._limit = limit
        self._over = over

    async def drain(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None  # all three streams are pipes
        while chunk := await stream.read(1 << 16):
            room = self._limit - len(self.data)
            self.data += chunk[:room]
            if len(chunk) > room:
                self._over.set()


async def _collect(supervisor: asyncio.subprocess.Process, limits: ProcessLimits) -> tuple[Ending, bytes, bytes]:
    over = asyncio.Event()
    out, err = _Capture(limits.output_bytes, over), _Capture(limits.output_bytes, over)
    reading = asyncio.create_task(_drain((out, supervisor.stdout), (err, supervisor.stderr)))
    flooding = asyncio.create_task(_once(over))
    try:
        done, _ = await asyncio.wait({reading, flooding}, timeout=limits.wall_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        flooding.cancel()
        await _stop(supervisor, reading)
    ended_by: Ending = "output" if over.is_set() else "exit" if reading in done else "wall"
    return ended_by, bytes(out.data), bytes(err.data)


async def _drain(*streams: tuple[_Capture, asyncio.StreamReader | None]) -> None:
    await asyncio.gather(*(capture.drain(stream) for capture, stream in streams))


async def _once(event: asyncio.Event) -> None:
    await event.wait()


async def _stop(supervisor: asyncio.subprocess.Process, reading: asyncio.Task[None]) -> None:
    """Closing the supervisor's standard input makes it kill everything below it and exit."""
    assert supervisor.stdin is not None
    supervisor.stdin.close()
    try:
        async with asyncio.timeout(KILL_GRACE_S):
            await asyncio.gather(reading, supervisor.wait())
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            supervisor.kill()
        raise


def _finished(report: bytes, command: str, *, ended_by: Ending, stdout: bytes, stderr: bytes) -> Finished:
    status = json.loads(report) if report else {}
    if "errno" in status:
        raise OSError(status["errno"], status["strerror"], command)
    if status.get("exit_code") is None:
        raise RuntimeError(f"{command}: lost its supervisor: {stderr.decode(errors='backslashreplace')[-500:]}")
    if ended_by != "output" and status["ended_by"] != "control":
        ended_by = status["ended_by"]
    return Finished(status["exit_code"], stdout, stderr, ended_by, status["wall_s"])
