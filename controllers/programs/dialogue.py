"""A confined program that one talks to in lines, for as long as one likes, with nothing of it left afterwards."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from controllers.isolation import Isolation, SandboxConfig, environment, prepare
from controllers.processes import KILL_GRACE_S, SUPERVISOR

MAX_LINE: Final = 1 << 18
_BETWEEN: Final[Mapping[Isolation, int]] = {"bwrap": 0, "unshare": 2, "rlimits": 0}
"""Processes of the confinement's own, above the program."""


class Ended(Exception):
    """The program is gone, or said more than a line."""


class Dialogue:
    """One program under a subreaper (`supervise.py`), which kills all of it when this process closes it or dies.

    Not for two threads at once. What blocks, blocks: callers bound it by the time they give.
    """

    def __init__(self, files: Mapping[str, str], argv: Sequence[str], config: SandboxConfig, kind: Isolation) -> None:
        """Start Python with the arguments `argv` in a scratch folder that holds `files`. Raises OSError."""
        self._folder = tempfile.TemporaryDirectory(prefix="tiller-")
        self._buffer = bytearray()
        place = Path(self._folder.name)
        # Root is exempt from the limit of processes unless bubblewrap makes it somebody else: there they are counted.
        counted = None if kind == "bwrap" or os.geteuid() else 1 + _BETWEEN[kind]
        read_end, self._in = os.pipe()
        report, report_end = os.pipe()
        try:
            command = prepare(place, kind, config=config, files=files, argv=argv)
            order = {"argv": command, "stdin": f"/dev/fd/{read_end}", "processes": counted, "report_fd": report_end}
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SUPERVISOR), json.dumps(order)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=place,
                env=environment(place, kind, config),
                pass_fds=(read_end, report_end),
                start_new_session=True,
            )
        except OSError:
            os.close(self._in)
            os.close(report)
            self._folder.cleanup()
            raise
        finally:
            os.close(read_end)
            os.close(report_end)
        os.set_blocking(self._in, False)
        self._end = weakref.finalize(self, _end, self._supervisor, self._in, report, os.getpid())

    def settled(self) -> None:
        """The program has started, so the folder it was started from can go."""
        self._folder.cleanup()

    def send(self, line: bytes, *, within_s: float) -> bool:
        """Send a line; whether it was taken in time. Raises Ended."""
        until, left = time.monotonic() + within_s, memoryview(line + b"\n")
        while left:
            try:
                left = left[os.write(self._in, left) :]
            except BlockingIOError:
                if not _ready(self._in, select.POLLOUT, until):
                    return False
            except BrokenPipeError as error:
                raise Ended("it closed its input") from error
        return True

    def line(self, *, within_s: float) -> bytes | None:
        """The next line, None where none came in time. Raises Ended where the program is gone or says too much."""
        assert self._supervisor.stdout is not None
        out, until = self._supervisor.stdout.fileno(), time.monotonic() + within_s
        while b"\n" not in self._buffer:
            if not _ready(out, select.POLLIN, until):
                return None
            data = os.read(out, 1 << 16)
            if not data:
                raise Ended("it ended")
            self._buffer += data
            if len(self._buffer) > MAX_LINE:
                raise Ended("it said too much")
        line, _, rest = self._buffer.partition(b"\n")
        if rest:
            raise Ended("it said more than was asked")
        self._buffer.clear()
        return bytes(line)

    def close(self) -> dict[str, object]:
        """Kill what is left of it. The supervisor's report: `exit_code` (128 + n for signal n) and `ended_by`."""
        told: bytes | None = self._end()
        self._folder.cleanup()
        found: dict[str, object] = json.loads(told) if told else {}
        return found


def _ready(descriptor: int, event: int, until: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(max(0.0, until - time.monotonic()) * 1000))


def _end(supervisor: subprocess.Popen[bytes], descriptor: int, report: int, owner: int) -> bytes:
    """Close what is open; the supervisor then kills everything below it. What it reports.

    A fork of this process owns none of it.
    """
    os.close(descriptor)
    for stream in (supervisor.stdin, supervisor.stdout):
        if stream is not None:
            stream.close()
    with os.fdopen(report, "rb") as reading:
        if os.getpid() != owner:
            return b""
        try:
            supervisor.wait(KILL_GRACE_S)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
        return reading.read()
