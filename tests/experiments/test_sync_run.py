"""The command that finishes what the mirror could not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.events import EventLog
from experiments.sync_run import SyncConfig, run
from experiments.tracking import connect, store_of
from signatures.errors import UsageError


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "experiments.sync_run", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command_writes_the_run_and_says_where(root: Path, tell) -> None:
    folder = tell(root / "gepa-7", until=4)
    done = command(str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"MLflow: 3 events of {folder} are in sqlite:///{root / 'mlflow.db'}\n"
    assert run(SyncConfig(run_folder=folder)).events == 3
    names = {r.info.run_name for r in connect(store_of(root)).search_runs(["1"])}
    assert names == {"gepa s7", "random@3", "continue@3"}


@pytest.mark.parametrize("make", [False, True])
def test_what_is_no_run_folder_is_refused_in_one_line(root: Path, make: bool) -> None:
    if make:
        (root / "gepa-7").mkdir()
    done = command(str(root / "gepa-7"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {root / 'gepa-7'}: no run folder, it has no events.jsonl\n"


def test_a_run_that_goes_on_is_left_alone(root: Path) -> None:
    with EventLog(root / "gepa-7"), pytest.raises(UsageError, match="still goes on"):
        run(SyncConfig(run_folder=root / "gepa-7"))


def test_a_store_that_fails_ends_with_code_three(root: Path, tell, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tell(root / "gepa-7", until=4)
    (root / "mlflow.db").write_bytes(b"no database " * 100)
    done = command(str(folder))
    assert done.returncode == 3
    assert done.stderr == "error: MLflow: DatabaseError: file is not a database\n"


def test_help_does_not_import_mlflow() -> None:
    code = (
        "import sys, runpy\n"
        "sys.argv = ['sync_run', '--help']\n"
        "try: runpy.run_module('experiments.sync_run', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "sys.exit(any(name in sys.modules for name in ('mlflow', 'pandas', 'dspy', 'litellm')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=dict(os.environ))
    assert done.returncode == 0
    assert b"RUN" in done.stdout
