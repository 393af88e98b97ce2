"""The confining program on its own: what is left of a plan's limits, files and privileges."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from controllers import confine
from controllers.confine import checked
from controllers.isolation import works

pytestmark = pytest.mark.skipif(not works("rlimits"), reason="needs Linux")


def run(place: Path, source: str, **changes: object) -> subprocess.CompletedProcess[str]:
    plan = {
        "argv": [os.path.realpath(sys.executable), "-I", "-S", "-c", source],
        "files": {"a/b.txt": "text"},
        "limits": {},
        "namespaces": False,
        "scratch": str(place),
        "scratch_bytes": 1 << 20,
        "uid": None,
        **changes,
    }
    (place / "plan.json").write_text(json.dumps(plan))
    command = [sys.executable, "-I", "-S", confine.__file__, str(place / "plan.json")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_files_are_written_and_limits_hold_in_the_program(tmp_path: Path) -> None:
    source = (
        "import os, resource; print(open('a/b.txt').read(), os.getcwd(), resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = run(tmp_path, source, limits={"NOFILE": 40})
    assert done.stdout == f"text {tmp_path} (40, 40)\n"


def test_no_capability_is_left(tmp_path: Path) -> None:
    done = run(
        tmp_path, "print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapBnd'))])"
    )
    bounding = "0000000000000000" if os.geteuid() == 0 else done.stdout.split("'")[3]
    assert done.stdout == f"['0000000000000000', '{bounding}']\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_another_user_in_every_way(tmp_path: Path) -> None:
    with TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o777)
        done = run(tmp_path, "", uid=23456, argv=["/usr/bin/id"], scratch=scratch)
        assert Path(scratch, "a/b.txt").stat().st_uid == 23456
    assert done.stdout == "uid=23456 gid=23456 groups=23456\n"


@pytest.mark.skipif(not works("unshare"), reason="namespaces are not allowed here")
def test_its_exit_is_that_of_the_program_in_the_namespace(tmp_path: Path) -> None:
    inside = {"namespaces": True, "scratch": "/tmp"}
    assert run(tmp_path, "raise SystemExit(5)", **inside).returncode == 5
    assert run(tmp_path, "import os; os.kill(os.getpid(), 9)", **inside).returncode == 128 + 9
    assert run(tmp_path, "import os; print(os.getppid())", **inside).stdout == "1\n"


def test_a_failed_call_names_itself() -> None:
    checked(0, "fine")
    with pytest.raises(OSError, match="unshare"):
        checked(-1, "unshare")
