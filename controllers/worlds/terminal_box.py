"""Boxes: a shell in a folder tree under bubblewrap, with no network, no host files and nothing left alive.

A box is one bubblewrap process whose first process inside is `terminal_inside.py`. It is started once and reset for
each session, which takes a few milliseconds: everything in it is killed and the tree is written anew into a memory
file system, so a tree never stands on this machine's disk. Snapshots are JSON, `path -> [kind, mode, text]`.
"""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys
import weakref
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final, Literal, NamedTuple, cast

from controllers.isolation import CONFINE, works
from signatures.errors import UsageError

INSIDE: Final = (CONFINE, *(Path(__file__).with_name(f"terminal_{name}.py") for name in ("inside", "tree")))
"""The modules that run in the box, which they see below /run."""
_PROGRAM: Final = "import sys; sys.path.insert(0, '/run'); from controllers.worlds.terminal_inside import main; main()"
LIMIT_S: Final = 5.0
"""Wall seconds of one command."""
KILL_GRACE_S: Final = 20.0
TREE_BYTES: Final = 1 << 20
IDLE_BOXES: Final = 8
MISSING: Final = (
    "benchmark terminal needs bubblewrap and user namespaces: install bubblewrap (`apt-get install bubblewrap`) and"
    " allow user namespaces, or run as root"
)

Entry = tuple[Literal["d", "f", "b", "l"], int, str]
Tree = Mapping[str, Entry]
"""Path -> kind, mode and text: `d` folder, `f` file, `b` file in base64, `l` link with its target."""
Ended = Literal["exit", "shell", "time", "output", "memory", "full", "lost"]


class Ran(NamedTuple):
    """What came of one command."""

    code: int
    out: str
    err: str
    ended: Ended
    """exit, or what ended it: the shell itself exited, a limit (time, output, memory, full disk), the box was lost"""


def needed() -> None:
    """Raises UsageError where no box can be started on this machine."""
    if not works("bwrap"):
        raise UsageError(MISSING)


class Box:
    """One box; used by one session at a time. Closed by `close`, by the garbage collector, or at exit."""

    def __init__(self) -> None:
        self._process = _start()
        self._close = weakref.finalize(self, _stop, self._process)

    @property
    def pid(self) -> int:
        """The id of the bubblewrap process."""
        return self._process.pid

    def reset(self, tree: Tree) -> None:
        """Kill everything, make the folder from `tree`, start a shell in it. Raises RuntimeError."""
        self._ask({"do": "reset", "tree": tree})

    def run(self, command: str, *, limit_s: float = LIMIT_S) -> Ran:
        """Run one command in the shell. Raises RuntimeError where the box is lost."""
        answer = self._ask({"do": "run", "command": command, "limit_s": limit_s})
        return Ran(**cast("dict[str, str]", answer))  # type: ignore[arg-type]  # the fields as they were written

    def snapshot(self) -> dict[str, Entry]:
        """The tree after the last command; what stands below run/ is not kept. Raises RuntimeError."""
        found = cast("dict[str, list[object]]", self._ask({"do": "snapshot"})["tree"])
        return {path: cast("Entry", tuple(entry)) for path, entry in found.items()}

    def rest(self) -> int:
        """Kill everything and empty the folder; the number of processes left, which is none. Raises RuntimeError."""
        return cast("int", self._ask({"do": "rest"})["processes"])

    def close(self) -> None:
        """End the box."""
        self._close()

    def _ask(self, order: Mapping[str, object]) -> dict[str, object]:
        to, back = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        try:
            to.write(json.dumps(order).encode() + b"\n")
            to.flush()
            line = back.readline()
        except (OSError, ValueError) as error:
            raise RuntimeError(f"the box is lost: {error}") from error
        if not line:
            raise RuntimeError(f"the box is lost: it ended with {self._process.wait(KILL_GRACE_S)}")
        answer: dict[str, object] = json.loads(line)
        return answer


def _start() -> subprocess.Popen[bytes]:
    needed()
    # Root is exempt from the limit on processes, so inside it becomes somebody that is nobody else here.
    uid = os.geteuid() or random.SystemRandom().randrange(20_000, 60_000)
    read_end, write_end = os.pipe()
    try:
        os.write(write_end, f"ops:x:{uid}:{uid}:ops:/box:/bin/bash\n".encode())
        os.close(write_end)
        # Not --die-with-parent: it means the thread that starts it. The box ends when its standard input closes.
        return subprocess.Popen(
            _command(uid, read_end),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            pass_fds=(read_end,),
            start_new_session=True,
        )
    finally:
        os.close(read_end)


def _command(uid: int, passwd_fd: int) -> list[str]:
    """System files read-only, /box and /tmp of limited size, no network, the program inside as process 1."""
    python = os.path.realpath(sys.executable)
    command = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--as-pid-1", "--hostname", "box", "--new-session", "--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/lib", "/lib64"):
        link = Path(name)
        command += ["--symlink", f"usr{name}", name] if link.is_symlink() else ["--ro-bind-try", name, name]
    if not sys.base_prefix.startswith("/usr"):
        # bubblewrap copies the modes of folders above: made first, they are open to the new user as well.
        parents = [str(parent) for parent in reversed(Path(sys.base_prefix).parents)][1:]
        command += [word for parent in parents for word in ("--dir", parent)]
        command += ["--ro-bind", sys.base_prefix, sys.base_prefix]
    command += [
        word
        for name in ("/etc", "/run", "/run/controllers", "/run/controllers/worlds")
        for word in ("--perms", "0755", "--dir", name)
    ]
    command += ["--ro-bind-try", "/etc/alternatives", "/etc/alternatives"]  # awk is a link through it
    command += ["--perms", "0644", "--ro-bind-data", str(passwd_fd), "/etc/passwd"]
    command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    command += ["--size", str(4 << 20), "--tmpfs", "/box", "--size", str(1 << 20), "--tmpfs", "/tmp"]
    for source in INSIDE:
        command += ["--ro-bind", str(source), f"/run/controllers/{source.relative_to(CONFINE.parent)}"]
    return [*command, "--remount-ro", "/", "--", python, "-I", "-S", "-B", "-c", _PROGRAM, str(uid)]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Closing its standard input makes it exit, and with it everything in its namespace."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:
                continue
    try:
        process.wait(KILL_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Boxes:
    """Boxes to borrow: those given back are used again. Safe to use from several threads."""

    def __init__(self) -> None:
        self._idle: deque[Box] = deque()  # append and pop are atomic, so a collector may give back at any moment

    def borrow(self) -> Box:
        """A box that nobody else uses. Raises UsageError where none can be started."""
        try:
            return self._idle.pop()
        except IndexError:
            return Box()

    def give_back(self, box: Box) -> None:
        """Take a box back: what runs in it is killed now. A lost one, and one too many, is closed."""
        try:
            box.rest()
        except RuntimeError:
            box.close()
            return
        if len(self._idle) < IDLE_BOXES:
            self._idle.append(box)
        else:
            box.close()

    def close(self) -> None:
        """End all idle boxes."""
        while self._idle:
            self._idle.pop().close()


def to_text(tree: Tree) -> str:
    """A snapshot as text: equal trees give equal text."""
    return json.dumps({path: list(tree[path]) for path in sorted(tree)}, ensure_ascii=False, separators=(",", ":"))


def from_text(text: str) -> dict[str, Entry]:
    """What `to_text` gave. Raises UsageError for any other text."""
    if len(text) > TREE_BYTES:
        raise UsageError("the state is larger than a box")
    try:
        found = json.loads(text)
        entries = {path: _entry(path, entry) for path, entry in found.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError("the state is not a snapshot of a box") from error
    for path in entries:
        above = path.rpartition("/")[0]
        if above and entries.get(above, ("",))[0] != "d":
            raise UsageError(f"the state is not a snapshot of a box: {path} stands in no folder")
    return entries


def _entry(path: str, entry: object) -> Entry:
    if not isinstance(entry, list) or len(entry) != 3:
        raise TypeError(f"{path}: not an entry")
    kind, mode, text = entry
    names = path.split("/")
    if kind not in ("d", "f", "b", "l") or type(mode) is not int or not 0 <= mode < 0o10000:
        raise ValueError(f"{path}: not an entry")
    if any(name in ("", ".", "..") or len(name.encode()) > 255 for name in names) or len(path) > 1000 or "\0" in path:
        raise ValueError(f"{path}: not a path")
    if not isinstance(text, str) or (kind == "l" and (not 0 < len(text.encode()) < 4000 or "\0" in text)):
        raise ValueError(f"{path}: not a text")
    _ = base64.b64decode(text, validate=True) if kind == "b" else text.encode()
    return (kind, mode, text)
