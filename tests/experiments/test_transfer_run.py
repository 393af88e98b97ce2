"""`transfer_run` from outside: what it prints, its exit codes, and that a dry run writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.cli import start
from experiments.transfer_run import app
from tests.worlds.transferred import SMALL


def ran(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        start(app, arguments)
    return ended.value.code


def given(root: Path, **changed: object) -> list[str]:
    small = {**SMALL, "root": str(root), "tasks": 4, "generations": 1, "iterations": 1, **changed}
    return [f"{name}={json.dumps(value)}" for name, value in small.items()]


def test_json_is_the_report_alone_on_stdout_and_the_cost_comes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(*given(tmp_path), "--json") == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["kind"] == "transfer"
    assert printed.err.startswith("Transfer between 3 domains: at most ")
    assert "quiet: 4 trees recorded" in printed.err
    assert all(Path(path).exists() for path in found["paths"].values())


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(*given(tmp_path), "--dry-run") == 0
    assert "simulated worker planted, 4 search and 4 dev tasks" in capsys.readouterr().out
    assert ran(*given(tmp_path), "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["attempts"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"domains": ["telecon", "wordnet"], "options": {}}, "did you mean 'telecom'"), ({"attempts": 9}, "attempts")],
)
def test_what_cannot_run_is_one_line_and_code_2(
    changed: dict[str, object], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(*given(tmp_path, **changed)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert list(tmp_path.iterdir()) == []
