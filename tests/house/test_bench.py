"""The timings are programs that run, and end with one JSON line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_help_time_prints_a_row_per_command_and_a_json_line(root: Path) -> None:
    command = [sys.executable, "bench/help_time.py", "1"]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=True)
    *_, last = ended.stdout.splitlines()
    seconds = json.loads(last)["programs"]
    assert {"pass", "doctor_run"} <= set(seconds)
    assert all(row["median_s"] > 0 for row in seconds.values())
    assert all(name in ended.stdout for name in seconds)


def test_every_timing_says_how_it_is_run(root: Path) -> None:
    programs = sorted((root / "bench").glob("*.py"))
    assert programs
    assert [p.name for p in programs if f"python bench/{p.name}" not in p.read_text(encoding="utf-8")] == []
