"""Every command answers `--help` without importing what is heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("mlflow", "dspy", "litellm", "pandas", "openai", "datasets", "tau2", "torch", "gepa", "optuna", "scipy")
# `python -m` in a fresh interpreter, and then what it had imported when it ended
PROGRAM = """
import json, runpy, sys
name = sys.argv.pop(1)
code = None
try:
    runpy.run_module(name, run_name="__main__", alter_sys=True)
except SystemExit as end:
    code = end.code
print(json.dumps({"code": code, "modules": sorted({name.split(".")[0] for name in sys.modules})}), file=sys.stderr)
"""


def asked_for_help(root: Path, cwd: Path, module: str) -> tuple[str, dict[str, object]]:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, "--help"],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return ended.stdout, json.loads(ended.stderr.splitlines()[-1])


def test_help_works_and_imports_nothing_heavy(command: str, root: Path, tmp_path: Path) -> None:
    text, seen = asked_for_help(root, tmp_path, f"experiments.{command}")
    assert seen["code"] in (0, None)
    assert "Usage:" in text
    assert "--help" in text
    assert sorted(set(HEAVY) & set(seen["modules"])) == []  # type: ignore[call-overload]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["signatures", "controllers", "judges", "optimizers", "experiments"])
def test_importing_a_package_imports_nothing_heavy(package: str, root: Path, tmp_path: Path) -> None:
    code = f"import json, sys, {package}; print(json.dumps(sorted(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(root)}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    (printed,) = ended.stdout.splitlines()
    assert sorted(set(HEAVY) & set(json.loads(printed))) == []
    assert ended.stderr == ""


def test_a_heavy_import_would_be_seen(root: Path, tmp_path: Path) -> None:
    (tmp_path / "toy_run.py").write_text("import datasets\nprint('Usage:')\n")
    (tmp_path / "datasets.py").write_text("")
    text, seen = asked_for_help(tmp_path, tmp_path, "toy_run")
    assert (text, seen["code"]) == ("Usage:\n", None)
    assert "datasets" in seen["modules"]  # type: ignore[operator]
