"""The supervisor as the stand-alone program that it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controllers import supervise
from controllers.supervise import descendants


def start(argv: list[str], report_fd: int) -> subprocess.Popen[bytes]:
    spec = {"argv": argv, "stdin": None, "processes": None, "report_fd": report_fd}
    command = [sys.executable, "-I", "-S", supervise.__file__, json.dumps(spec)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(report_fd,))


def test_closing_its_standard_input_kills_the_command() -> None:
    read, write = os.pipe()
    with start(["sleep", "600"], write) as supervisor, os.fdopen(read) as status:
        os.close(write)
        assert supervisor.stdin is not None
        supervisor.stdin.close()
        report = json.loads(status.read())
    assert (report["exit_code"], report["ended_by"]) == (-9, "control")
    assert supervisor.returncode == 0


def test_when_its_parent_dies_by_sigkill_nothing_stays(tmp_path: Path) -> None:
    parent = f"""
import json, os, subprocess, sys, time
read, write = os.pipe()
script = "import os,time; open('pid','w').write(str(os.getpid())); time.sleep(600)"
spec = dict(argv=[sys.executable, "-c", script], stdin=None, processes=None, report_fd=write)
subprocess.Popen([sys.executable, "-I", "-S", {supervise.__file__!r}, json.dumps(spec)],
                 stdin=subprocess.PIPE, pass_fds=(write,), start_new_session=True)
while not (os.path.exists("pid") and os.path.getsize("pid")):
    time.sleep(0.01)
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", parent], cwd=tmp_path, check=False)
    pid = (tmp_path / "pid").read_text()
    for _ in range(500):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.01)
    pytest.fail("the command outlived its parent and its supervisor")


def test_a_command_that_cannot_start_is_reported() -> None:
    read, write = os.pipe()
    with start(["/no/such/command"], write) as supervisor, os.fdopen(read) as status:
        os.close(write)
        report = json.loads(status.read())
        supervisor.communicate()
    assert report["strerror"] == "No such file or directory"


def test_descendants_are_found_over_generations() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 600 & echo ready; wait"], stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        deadline, names = time.monotonic() + 10, set[str]()
        while "sleep" not in names and time.monotonic() < deadline:  # it is called `sh` until it is the new program
            found = descendants(os.getpid())
            names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in found}
        for pid in found:
            os.kill(pid, 9)
    assert names == {"sh", "sleep"}
