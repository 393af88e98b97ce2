"""A program of its own: the first process of a box, which keeps one shell and puts the folder tree back. Stdlib only.

It is started by `controllers.worlds.terminal_box` inside bubblewrap with the user id to take. Being process 1
of its namespace, nothing in the box can end it, every orphan is handed to it, and with its end all others end. It
reads one JSON order a line and answers each with one JSON line; when its standard input closes it exits.
"""

# pathlib and contextlib would add a quarter to the start-up time
# ruff: noqa: PTH101, PTH123, PTH208, SIM105

from __future__ import annotations

import fcntl
import json
import os
import resource
import select
import signal
import sys
import time

from controllers.confine import checked, drop_privileges, libc
from controllers.worlds.terminal_tree import HOME, read_tree, wipe, write_tree

SPARE = "/tmp"
KEPT_BYTES, FLOOD_BYTES = 6000, 1 << 20
CPU_S, ADDRESS_BYTES, FILE_BYTES, PROCESSES, OPEN_FILES = 5, 256 << 20, 256 << 10, 40, 128
RESIDENT_BYTES = 256 << 20
PR_SET_DUMPABLE = 4
LOOP = "while IFS= read -r -d '' -u 3 REPLY; do eval \"$REPLY\" </dev/null 3<&- 4>&-; printf '%s\\0' \"$?\" >&4; done"
ENV = {"PATH": "/usr/bin:/bin", "HOME": HOME, "LANG": "C.UTF-8", "TIME_STYLE": "+", "TMPDIR": SPARE, "USER": "ops"}


class Shell:
    """One bash, with pipes for its orders, its exit codes and both outputs."""

    def __init__(self) -> None:
        order_r, self.orders = os.pipe()
        self.codes, code_w = os.pipe()
        self.out, out_w = os.pipe()
        self.err, err_w = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._become_bash(order_r, code_w, out_w, err_w)
        for fd in (order_r, code_w, out_w, err_w):
            os.close(fd)
        for fd in (self.codes, self.out, self.err):
            os.set_blocking(fd, False)

    @staticmethod
    def _become_bash(order_r: int, code_w: int, out_w: int, err_w: int) -> None:
        try:
            os.setsid()
            os.chdir(HOME)
            os.umask(0o022)
            # out of the way first: a target number may be in use by another of the four
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in (order_r, code_w, out_w, err_w)]
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for source, target in zip(high, (3, 4, 1, 2), strict=True):
                os.dup2(source, target)
            os.closerange(5, 256)
            for name, value in (
                ("CPU", CPU_S),
                ("AS", ADDRESS_BYTES),
                ("FSIZE", FILE_BYTES),
                ("NPROC", PROCESSES),
                ("NOFILE", OPEN_FILES),
                ("CORE", 0),
            ):
                resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-c", LOOP], ENV)
        finally:
            os._exit(127)

    def close(self) -> None:
        for fd in (self.orders, self.codes, self.out, self.err):
            os.close(fd)


class Capture:
    """The first bytes of a stream, and how many there were."""

    def __init__(self) -> None:
        self.data = b""
        self.total = 0

    def add(self, chunk: bytes) -> None:
        self.total += len(chunk)
        self.data += chunk[: KEPT_BYTES - len(self.data)]

    def text(self) -> str:
        text = self.data.decode("utf-8", "backslashreplace")
        left_out = self.total - len(self.data)
        return f"{text}\n[{left_out} more bytes]\n" if left_out else text


class Box:
    """The tree, the shell, and what ends a command."""

    def __init__(self) -> None:
        self.shell: Shell | None = None
        self.last: dict[str, list[object]] = {}

    def reset(self, tree: dict[str, list[object]]) -> dict[str, object]:
        """End every process, make the folder anew from `tree`, start a shell."""
        self._end_shell()
        self._write(tree)
        self.shell = Shell()
        return {}

    def _write(self, tree: dict[str, list[object]]) -> None:
        for folder in (HOME, SPARE):
            wipe(folder)
        write_tree(tree)
        self.last = tree

    def _end_shell(self) -> None:
        kill_all()
        if self.shell is not None:
            self.shell.close()
        self.shell = None

    def run(self, command: str, limit_s: float) -> dict[str, object]:
        """Run one command in the shell: its exit code, outputs, and what ended it."""
        assert self.shell is not None
        before = self.last
        started = time.monotonic()
        data = memoryview(command.encode("utf-8", "replace").replace(b"\0", b"") + b"\0")
        out, err, code = Capture(), Capture(), b""
        ended = ""
        os.set_blocking(self.shell.orders, False)
        while not ended:
            watched = [self.shell.codes, self.shell.out, self.shell.err, 0]
            ready, room, _ = select.select(watched, [self.shell.orders] if data else [], [], 0.1)
            if 0 in ready:
                os._exit(0)  # nobody speaks while a command runs: our starter is gone
            if room:
                try:
                    data = data[os.write(self.shell.orders, data[:4096]) :]
                except BrokenPipeError:
                    data = data[:0]
            if self.shell.codes in ready:
                got = os.read(self.shell.codes, 64)
                code += got
                ended = "exit" if code.endswith(b"\0") else "" if got else "shell"
            self._drain(out, err)
            if not ended:
                reap(self.shell.pid)
                ended = over(limit_s, started, out, err)
        self._drain(out, err)
        number = int(code[:-1]) if ended == "exit" else self._restart(ended)
        return self._result(number, out, err, ended, before)

    def _drain(self, out: Capture, err: Capture) -> None:
        assert self.shell is not None
        for fd, capture in ((self.shell.out, out), (self.shell.err, err)):
            for _ in range(64):
                try:
                    chunk = os.read(fd, 1 << 16)
                except BlockingIOError:
                    break
                if not chunk:
                    break
                capture.add(chunk)

    def _restart(self, ended: str) -> int:
        """A new shell in the same folder; the exit code of the one that is gone."""
        assert self.shell is not None
        code = 124 if ended == "time" else 137
        if ended == "shell":
            try:
                _, status = os.waitpid(self.shell.pid, 0)
                found = os.waitstatus_to_exitcode(status)
                code = found if found >= 0 else 128 - found
            except ChildProcessError:
                pass
        self._end_shell()
        self.shell = Shell()
        return code

    def _result(
        self, code: int, out: Capture, err: Capture, ended: str, before: dict[str, list[object]]
    ) -> dict[str, object]:
        try:
            try:
                self.last = read_tree()
            except OSError:  # something that still runs changed it meanwhile
                self._end_shell()
                self.last = read_tree()
                self.shell = Shell()
        except OverflowError:
            ended, code = "full", 1
            self._end_shell()
            self._write(before)
            self.shell = Shell()
        return {"code": code, "out": out.text(), "err": err.text(), "ended": ended}

    def snapshot(self) -> dict[str, object]:
        """The tree as the last command left it; what still runs may have changed it since."""
        return {"tree": self.last}

    def rest(self) -> dict[str, object]:
        """End every process and forget everything."""
        self._end_shell()
        self._write({})
        return {"processes": len(others())}


def over(limit_s: float, started: float, out: Capture, err: Capture) -> str:
    """Which limit the running command is past, if any."""
    if time.monotonic() - started > limit_s:
        return "time"
    if max(out.total, err.total) > FLOOD_BYTES:
        return "output"
    return "memory" if resident() > RESIDENT_BYTES else ""


def others() -> list[int]:
    """All live processes of the box but this one."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def resident() -> int:
    """Bytes of memory in use by the box's processes."""
    pages = 0
    for pid in others():
        try:
            with open(f"/proc/{pid}/statm", "rb") as file:
                pages += int(file.read().split()[1])
        except (OSError, IndexError):
            continue
    return pages * resource.getpagesize()


def reap(shell: int) -> None:
    """Collect orphans that have ended; the shell too, whose pipes tell the rest."""
    for pid in others():
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
            if state == b"Z" and int(parent) == os.getpid() and pid != shell:
                os.waitpid(pid, os.WNOHANG)
        except (OSError, ValueError):
            continue


def kill_all() -> None:
    """SIGKILL everything until this process has no child left, which is the kernel's word for nobody left."""
    give_up = time.monotonic() + 10
    while True:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if time.monotonic() > give_up:
            os._exit(3)
        time.sleep(0.0005)


def give_up_privileges(uid: int) -> None:
    """Become `uid` where this is root, lose every capability, and be unreadable to the shell of the same user."""
    for folder in (HOME, SPARE):
        os.chown(folder, uid, uid)
        os.chmod(folder, 0o755)
    drop_privileges()
    if os.getuid() != uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    checked(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl(PR_SET_DUMPABLE)")


def main() -> None:
    """Answer orders until standard input closes."""
    give_up_privileges(int(sys.argv[1]))
    box = Box()
    buffered = b""
    while True:
        while b"\n" not in buffered:
            chunk = os.read(0, 1 << 16)
            if not chunk:
                os._exit(0)
            buffered += chunk
        line, _, buffered = buffered.partition(b"\n")
        order = json.loads(line)
        what = order.pop("do")
        answer = json.dumps(getattr(box, what)(**order)).encode() + b"\n"
        while answer:
            answer = answer[os.write(1, answer) :]
