"""The command: tables, JSON, and one clear line where nothing was decided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controllers.baselines import seed_candidate
from experiments.cli import start
from experiments.tiers_run import app, table_of
from optimizers.tiers.scoreboard import TierCount, TierRow
from signatures.records import Tier
from tests.worlds.tiered import BENCHMARK, play

OTHERS: tuple[tuple[int, Tier], ...] = ((0, "rule"), (1, "resident"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiers")
    play(folder / "corpus-planted.db", seed_candidate(), None, tasks=4)
    return folder


def ended(given: list[str]) -> int:
    with pytest.raises(SystemExit) as error:
        start(app, given)
    return int(error.value.code or 0)


def test_tables_and_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--benchmark", BENCHMARK, f"root={root}", "periods=2", "tracking=false"]
    assert ended(given) == 0
    out = capsys.readouterr().out
    assert "…" not in out, "piped into a file, nothing is cut off"
    assert "search played" in out and "100.0%" in out and f"scoreboard: {root}" in out
    assert ended([*given, "--json"]) == 0
    board = json.loads(capsys.readouterr().out)
    assert len(board["periods"]) == 2 and board["total"]["episodes"] == 4


def test_no_corpus_and_no_decision_are_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--benchmark", BENCHMARK, "tracking=false"]
    assert ended([*given, f"root={root}", "split=dev"]) == 4
    assert ended([*given, f"root={root / 'none'}"]) in (2, 3)
    said = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(said) == 2 and all(line.startswith("error: ") for line in said)


def test_amounts_that_nobody_measured_are_not_zero() -> None:
    def cell(**changed: object) -> list[str]:
        model = TierCount.model_validate({"tier": "frontier", "decisions": 2, **changed})
        others = [TierCount(tier=tier, decisions=1 - n, tokens=0, usd=0.0) for n, tier in OTHERS]
        table = table_of("t", [TierRow(name="r", episodes=1, tiers=(model, *others[::-1]))])
        return [str(next(iter(column.cells))) for column in table.columns[-2:]]

    assert cell(tokens=None, usd=None, unmeasured=2, unpriced=2) == ["-", "-"]
    assert cell(tokens=10, usd=None, unmeasured=1, unpriced=2) == ["10+", "-"]
    assert cell(tokens=10, usd=0.5) == ["10", "0.5000"]
