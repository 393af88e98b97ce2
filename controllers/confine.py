"""A program of its own: gives up what worker-written code must not have, then becomes that code. Stdlib only.

It is started by `controllers.sandbox` as `python -I -S confine.py PLAN`, inside bubblewrap where that works. Where
it does not, `namespaces` in the plan makes it do the like itself: new user, mount, process, network and IPC
namespaces, everything read-only but a small memory file system on /tmp, /run hidden.
"""

# pathlib would add a quarter to the start-up time
# ruff: noqa: PTH103, PTH120, PTH123

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 0x1, 0x2, 0x4, 0x4000, 0x40000
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 0x1
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Carry out the plan in the JSON file `argv[1]`; does not return."""
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    if plan["namespaces"]:
        enter_namespaces(plan["scratch_bytes"])
    if plan["uid"] is not None:
        os.setgroups([])
        os.setresgid(plan["uid"], plan["uid"], plan["uid"])
        os.setresuid(plan["uid"], plan["uid"], plan["uid"])
    os.chdir(plan["scratch"])
    for name, text in plan["files"].items():
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        with open(name, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            file.write(text)
    for name, value in plan["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    drop_privileges()
    os.execv(plan["argv"][0], plan["argv"])


def enter_namespaces(scratch_bytes: int) -> None:
    """Leave the host's namespaces; return in a process whose end ends all processes in the new ones."""
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | (CLONE_NEWUSER if uid else 0)
    checked(libc.unshare(flags), "unshare")
    if uid:
        for path, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{path}", "w") as file:
                file.write(text)
    mount(b"none", b"/", None, MS_REC | MS_PRIVATE)
    read_only = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    checked(
        libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, read_only, ctypes.sizeof(read_only)),
        "mount_setattr",
    )
    size = b"mode=1777,size=%d" % scratch_bytes
    mount(b"tmpfs", b"/tmp", b"tmpfs", MS_NOSUID | MS_NODEV, size)
    mount(b"tmpfs", b"/dev/shm", b"tmpfs", MS_NOSUID | MS_NODEV, size)
    mount(b"tmpfs", b"/run", b"tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY)
    for _ in ("the first process of the namespace, whose end kills the rest", "the code"):
        if child := os.fork():
            become_end_of(child)


def become_end_of(child: int) -> None:
    """Wait for `child`, collecting orphans, and exit as it did: 128 + n where signal n ended it."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def drop_privileges() -> None:
    """No capability is left after the next exec, and no program can give one back."""
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # past the last one, or none to drop


def mount(source: bytes, target: bytes, kind: bytes | None, flags: int, options: bytes | None = None) -> None:
    """mount(2). Raises OSError."""
    checked(libc.mount(source, target, kind, ctypes.c_ulong(flags), options), f"mount {target.decode()}")


def checked(result: int, what: str) -> None:
    """Raise OSError where a C call failed."""
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main()
