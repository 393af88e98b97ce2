"""The command: keep, list, compare; errors are one line with an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from experiments.store_run import app, line_of
from optimizers.store import CertifiedStore
from tests.worlds.shelved import strategy

RUNNER = CliRunner()
WORLD = ["benchmark=tests.worlds.shelved:WithToken", "turns=3", "tasks=6", "past=2", "tracking=false"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A run root with one certified strategy."""
    with CertifiedStore(tmp_path / "store.db") as store:
        store.add(strategy())
    return tmp_path


def test_a_strategy_in_one_line() -> None:
    line = line_of(strategy())
    assert line.startswith(f"{strategy().id[:12]}: lamp for planted")
    assert "correct +20.0 points [+10.0, +30.0] on 180 tasks of holdout, worker planted, 2026-07-30" in line


def test_the_list_is_lines_or_json(root: Path) -> None:
    said = RUNNER.invoke(app, ["list", "--root", str(root)])
    assert (said.exit_code, said.stdout.strip()) == (0, line_of(strategy()))
    told = RUNNER.invoke(app, ["list", "--store", str(root / "store.db"), "--json"])
    assert json.loads(told.stdout)["certificate"]["decision"] == "promote"


def test_a_dry_run_says_what_it_would_cost_and_does_nothing(root: Path) -> None:
    said = RUNNER.invoke(app, ["compare", *WORLD, f"root={root}", "--dry-run", "--json"])
    assert json.loads(said.stdout) == {"attempts": 3 * 6 * 3 + 2 * 3}
    assert [path.name for path in root.iterdir()] == ["store.db"]


def test_a_comparison_prints_its_report(root: Path) -> None:
    said = RUNNER.invoke(app, ["compare", *WORLD, f"root={root}", "--json"])
    assert said.exit_code == 0, said.output
    report = json.loads(said.stdout)
    assert [one["name"] for one in report["contrasts"]] == ["certified - cold", "certified - primed", "primed - cold"]
    assert Path(report["paths"]["report"]).is_file()


def test_errors_are_one_line_with_an_exit_code(root: Path, tmp_path: Path) -> None:
    for arguments in (["list", "--root", str(tmp_path / "none")], ["add", "--gate", str(tmp_path / "no gate")]):
        said = RUNNER.invoke(app, arguments)
        assert said.exit_code == 2
        assert said.stderr.startswith("error: ")
