"""The doctor on this machine, on bad answers, and as a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from experiments.doctor_run import DoctorConfig, app, run

ROOT = Path(__file__).resolve().parents[2]


def statuses(config: DoctorConfig) -> dict[str, str]:
    return {check.name: check.status for check in run(config)}


def test_this_machine_can_run_tiller_and_nothing_is_left_behind(tmp_path: Path) -> None:
    found = statuses(DoctorConfig(root=tmp_path / "not" / "yet", min_free_gib=0))
    assert list(found) == ["python", "packages", "telecom", "bubblewrap", "chromium", "run root", "disk"]
    assert "FAILED" not in found.values()
    assert list(tmp_path.iterdir()) == []


def test_only_optional_parts_may_be_absent(tmp_path: Path) -> None:
    absent = {name for name, status in statuses(DoctorConfig(root=tmp_path)).items() if status == "absent"}
    assert absent <= {"telecom", "bubblewrap", "chromium"}


def test_a_run_root_below_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert statuses(DoctorConfig(root=tmp_path / "file" / "runs"))["run root"] == "FAILED"


def test_too_little_disk_fails(tmp_path: Path) -> None:
    (disk,) = (check for check in run(DoctorConfig(root=tmp_path, min_free_gib=1e9)) if check.name == "disk")
    assert disk.status == "FAILED"
    assert "GiB free (1e+09 wanted)" in disk.detail


def test_a_negative_threshold_is_refused() -> None:
    with pytest.raises(ValidationError, match="min_free_gib"):
        DoctorConfig(min_free_gib=-1)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--min-free-gib", "0"], 0, ""),
        (["--min-free-gib", "1e9"], 2, "error: failed: disk\n"),
        (["--min-free-gib", "-1"], 2, "error: min_free_gib: Input should be greater than or equal to 0 (got -1.0)\n"),
    ],
)
def test_the_command_says_so_in_one_line(
    arguments: list[str], code: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["--root", str(tmp_path), *arguments])
    assert (ended.value.code, capsys.readouterr().err) == (code, message)


def test_a_second_distribution_shows_in_the_table(tmp_path: Path) -> None:
    info = tmp_path / "judges-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: judges\nVersion: 9\n")
    (info / "top_level.txt").write_text("judges\n")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "COLUMNS": "300"}
    command = [sys.executable, "-m", "experiments.doctor_run", "--root", str(tmp_path), "--min-free-gib", "0"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (2, "error: failed: packages\n")
    assert "package 'judges' is also claimed by the installed distribution judges" in ended.stdout
