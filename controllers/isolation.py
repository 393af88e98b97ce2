"""How worker-written code is confined: the strongest kind that works here, and the command that does it."""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from signatures.records import NonNegative, Record

CONFINE: Final = Path(__file__).with_name("confine.py")
Isolation = Literal["bwrap", "unshare", "rlimits"]
NOT_ISOLATED: Final[Mapping[Isolation, tuple[str, ...]]] = {
    "bwrap": ("memory summed over processes",),
    "unshare": ("memory summed over processes", "reading files of this user", "seeing the process list"),
    "rlimits": (
        "memory summed over processes",
        "disk space",
        "reading and writing files of this user",
        "signalling processes of this user",
        "the network",
    ),
}


class SandboxConfig(Record):
    """What worker-written code may use."""

    wall_s: NonNegative = 10.0
    cpu_s: int = Field(default=10, ge=1)
    "of each process"
    memory_bytes: int = Field(default=512 << 20, ge=1 << 26)
    "address space of each process"
    file_bytes: int = Field(default=16 << 20, ge=0)
    "of each file"
    scratch_bytes: int = Field(default=64 << 20, ge=1 << 16)
    "of all files (not under `rlimits`)"
    processes: int = Field(default=32, ge=2)
    output_bytes: int = Field(default=1 << 20, ge=0)
    packages: tuple[str, ...] = ()
    "folders of Python packages that the code may import; read-only, not below /tmp"
    isolation: Isolation | None = None
    "None: the strongest that works here"
    allow_network_unconfined: bool = False
    "run even where the network cannot be cut off"


@functools.cache
def works(isolation: Isolation) -> bool:
    """Whether a program can be started under `isolation`; found out by starting one, once per process."""
    if sys.platform != "linux" or (isolation == "bwrap" and shutil.which("bwrap") is None):
        return False
    config = SandboxConfig()
    with tempfile.TemporaryDirectory(prefix="tiller-") as folder:
        place = Path(folder)
        command = prepare(place, isolation, config=config, files={}, argv=("-c", "print(6 * 7)"))
        env = environment(place, isolation, config)
        try:
            done = subprocess.run(command, env=env, cwd=place, capture_output=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
    return done.stdout == b"42\n"


def counted(isolation: Isolation, processes: int) -> int | None:
    """The number of processes the supervisor must count, because RLIMIT_NPROC would not hold there.

    The kernel exempts root, and outside a user namespace it counts all processes of the user.
    """
    own = 4  # supervisor's child, bubblewrap or the namespace's first process
    return None if isolation == "bwrap" or (isolation == "unshare" and os.geteuid()) else processes + own


def environment(place: Path, isolation: Isolation, config: SandboxConfig) -> dict[str, str]:
    """All variables that the code sees: none of this process's, and a fixed hash seed."""
    scratch = _scratch(place, isolation)
    packages = {"PYTHONPATH": ":".join(config.packages)} if config.packages else {}
    fixed = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": scratch, "TMPDIR": scratch}
    return {**fixed, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **packages}


def _scratch(place: Path, isolation: Isolation) -> str:
    return str(place / "scratch") if isolation == "rlimits" else "/tmp"


def prepare(
    place: Path, isolation: Isolation, *, config: SandboxConfig, files: Mapping[str, str], argv: Sequence[str]
) -> list[str]:
    """Write the plan for `confine.py` into `place`; return the command that carries it out."""
    python = os.path.realpath(sys.executable)
    limits = {
        "CPU": config.cpu_s,
        "AS": config.memory_bytes,
        "FSIZE": config.file_bytes,
        "CORE": 0,
        "NOFILE": 256,
    }
    if isolation != "rlimits":
        limits["NPROC"] = config.processes
    else:
        (place / "scratch").mkdir()
    plan = {
        "argv": [python, "-s", *argv],
        "files": dict(files),
        "limits": limits,
        "namespaces": isolation == "unshare",
        "scratch": _scratch(place, isolation),
        "scratch_bytes": config.scratch_bytes,
        # Root is exempt from RLIMIT_NPROC, so under bubblewrap it becomes somebody that is nobody else here.
        "uid": random.SystemRandom().randrange(20_000, 60_000) if isolation == "bwrap" and not os.geteuid() else None,
    }
    (place / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    if isolation != "bwrap":
        return [python, "-I", "-S", str(CONFINE), str(place / "plan.json")]
    inside = [python, "-I", "-S", "/run/confine.py", "/run/plan.json"]
    return [*_bubblewrap(place, python, config), "--", *inside]


def _bubblewrap(place: Path, python: str, config: SandboxConfig) -> list[str]:
    """A root of system files and this Python, read-only; /tmp and /dev/shm of limited size; no network."""
    size = str(config.scratch_bytes)
    command = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--die-with-parent", "--new-session", "--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/lib", "/lib64"):
        link = Path(name)
        command += ["--symlink", f"usr{name}", name] if link.is_symlink() else ["--ro-bind-try", name, name]
    for folder in (sys.base_prefix, *config.packages):
        if not folder.startswith("/usr"):
            # bubblewrap copies the modes of folders above: made first, they are open to the new user as well.
            parents = [str(parent) for parent in reversed(Path(folder).parents)][1:]
            command += [word for parent in parents for word in ("--dir", parent)]
            command += ["--ro-bind", folder, folder]
    command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    command += ["--size", size, "--perms", "1777", "--tmpfs", "/dev/shm"]
    command += ["--size", size, "--perms", "1777", "--tmpfs", "/tmp"]
    command += ["--ro-bind", str(CONFINE), "/run/confine.py", "--ro-bind", str(place / "plan.json"), "/run/plan.json"]
    return [*command, "--remount-ro", "/"]
