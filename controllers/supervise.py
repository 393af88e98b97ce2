"""A program of its own: runs one command and ends with nothing of it left alive. Standard library only.

It is started by `controllers.processes` as `python -I -S supervise.py JSON`. The process is a *subreaper*: a
descendant whose parent dies is handed to it, however often it forked or called setsid, so when the kernel says that
it has no child left, no descendant is left. When its standard input closes (its parent wants it to stop, or is dead)
it kills them all. It reports on a pipe of its own, because standard output belongs to the command.
"""

# pathlib and contextlib would add a quarter to the start-up time
# ruff: noqa: PTH123, PTH208, SIM105

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable

PR_SET_CHILD_SUBREAPER = 36
TICK_MS = 50
KILL_LIMIT_S = 20.0


def main() -> None:
    """Run the command described by the JSON in `argv[1]` and write one JSON line to its `report_fd`."""
    spec = json.loads(sys.argv[1])
    os.set_inheritable(spec["report_fd"], False)
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    try:
        child = Child(spec["argv"], spec["stdin"] or os.devnull)
    except OSError as error:
        report: dict[str, object] = {"errno": error.errno, "strerror": error.strerror}
    else:
        ended_by = child.watch(spec["processes"])
        child.kill_all()
        report = {"exit_code": child.exit_code, "ended_by": ended_by, "wall_s": child.wall_s}
    try:
        os.write(spec["report_fd"], json.dumps(report).encode())
    except BrokenPipeError:
        pass  # whoever wanted to know is dead


class Child:
    """The command and everything that descends from it."""

    def __init__(self, argv: list[str], stdin: str) -> None:
        self.exit_code: int | None = None
        self.wall_s = 0.0
        self._started = time.monotonic()
        actions = [(os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0)]
        self.pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions, setsid=True)

    def watch(self, processes: int | None) -> str:
        """Wait until the command exits, standard input closes or there are too many processes; say which."""
        poll = select.poll()
        pidfd = os.pidfd_open(self.pid)
        poll.register(pidfd, select.POLLIN)
        poll.register(0, select.POLLIN)
        while True:
            ready = dict(poll.poll(TICK_MS if processes is not None else 1000))
            self._reap()
            if pidfd in ready or self.exit_code is not None:
                return "exit"
            if 0 in ready:
                return "control"
            if processes is not None and len(descendants(os.getpid())) > processes:
                return "processes"

    def kill_all(self) -> None:
        """SIGKILL what is left until the kernel says that this process has no child. Gives up after 20 s."""
        give_up = time.monotonic() + KILL_LIMIT_S
        while self._reap() and time.monotonic() < give_up:
            if self.exit_code is None:
                _kill(os.killpg, self.pid)
            for pid in descendants(os.getpid()):
                _kill(os.kill, pid)
            time.sleep(0.002)

    def _reap(self) -> bool:
        """Collect what has ended; whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
                self.wall_s = time.monotonic() - self._started


def _kill(how: Callable[[int, int], None], pid: int) -> None:
    try:
        how(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # already gone, or privileged: the deadline of kill_all covers it


def descendants(root: int) -> list[int]:
    """Ids of all live processes below `root`, by the parent ids in /proc."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    state, parent = file.read().rpartition(b")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != b"Z":
                children.setdefault(int(parent), []).append(int(entry))
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


if __name__ == "__main__":
    main()
