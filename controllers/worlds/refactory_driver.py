"""A program of its own: runs several programs on the same calls inside the sandbox. Standard library only.

It is started by `controllers.worlds.refactory` with `job.json` beside it, and writes one JSON line per program: for
each call `[true, repr of the value]`, `[false, the error]`, or null for a call that was not made. Each program runs in
a forked process of its own. A call is stopped after a number of executed lines, so the same program gives the same
report on any machine; its processor time, and in the end the clock, stop only what executes no lines.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

ENDLESS = 2
"""Calls of one program that may reach the limit of lines: after these no more are made."""
LONGEST = 2000
"""Characters kept of a value or an error."""
Outcome = tuple[bool, str]
MOST_BYTES = 16 << 20
"""Of one program's report, which is far less; then it is not read further."""
ENDED: Outcome = (False, "TooManyLines: it did not end")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class TooManyLines(BaseException):
    """The call executed more lines than it may."""


def report(program: str, prelude: str, calls: list[str], steps: int) -> Iterator[Outcome | None]:
    """What each call gives, in order."""
    space: dict[str, Any] = {"__name__": "solution"}
    loaded = _limited(partial(exec, f"{prelude}\n{program}", space), steps)
    endless = 0
    for call in calls:
        if not loaded[0]:
            yield loaded
        elif endless == ENDLESS:
            yield None
        else:
            outcome = _limited(partial(_value, call, space), steps)
            endless += outcome == ENDED
            yield outcome


def _value(call: str, space: dict[str, Any]) -> str:
    return repr(eval(call, dict(space)))


def _limited(work: Callable[[], object], steps: int) -> Outcome:
    left = steps

    def count(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        nonlocal left
        if event == "line":
            left -= 1
            if left < 0:
                raise TooManyLines("it did not end")
        return count

    ended = _Ended()
    value = ""
    with ended:
        sys.settrace(count)
        value = str(work())[:LONGEST]
    if ended.error is not None:
        return False, _ADDRESS.sub("", f"{type(ended.error).__name__}: {ended.error}"[:LONGEST])
    return (True, _ADDRESS.sub("", value)) if left >= 0 else ENDED


class _Ended:
    """Ends the tracing, and takes whatever a student's program raises: that is its result."""

    error: BaseException | None = None

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        sys.settrace(None)
        self.error = error
        return True


def in_a_fork(program: str, job: dict[str, Any]) -> list[Outcome | None]:
    """The program's report, as far as it came within the job's seconds."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.closerange(3, writing)  # what is read, and what all reports go to
            os.closerange(writing + 1, 256)
            signal.setitimer(signal.ITIMER_PROF, job["cpu_s"])  # nothing catches this signal: the process ends
            with os.fdopen(writing, "w", buffering=1) as file:
                for outcome in report(program, job["prelude"], job["calls"], job["steps"]):
                    file.write(json.dumps(outcome) + "\n")
        finally:
            os._exit(0)
    os.close(writing)
    lines = _read(reading, job["wall_s"]).decode("utf-8", "replace").split("\n")[:-1]
    os.kill(child, signal.SIGKILL)  # it may have closed its end and gone on
    os.waitpid(child, 0)
    found: list[Outcome | None] = []
    with contextlib.suppress(ValueError, RecursionError):
        found = [json.loads(line) for line in lines]
    return (found + [None] * len(job["calls"]))[: len(job["calls"])]


def _read(reading: int, seconds: float) -> bytes:
    """What is written until every writer is gone or the time is up. The clock is here: a program can stop its own."""
    found, end = b"", time.monotonic() + seconds
    while len(found) < MOST_BYTES and select.select([reading], [], [], max(0.0, end - time.monotonic()))[0]:
        chunk = os.read(reading, 1 << 16)
        if not chunk:
            break
        found += chunk
    os.close(reading)
    return found


def main() -> None:
    """Run the job; only this process writes to standard output."""
    job = json.loads(Path("job.json").read_text(encoding="utf-8"))
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    for program in job["programs"]:
        out.write(json.dumps(in_a_fork(program, job)) + "\n")


if __name__ == "__main__":
    main()
