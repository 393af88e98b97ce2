"""The ladder as a command: what it prints and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.config import merge
from experiments.rung_run import QUICK, RungConfig
from tests.worlds.forked import Forker

SMALL = ("benchmark=tests.worlds.layered:LayeredBenchmark", "turns=3", "tasks=4", "repeats=1", "tracking=false")


@pytest.fixture(scope="module")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    preloaded = ("experiments.gate.arms.ladder", "litellm", "tests.worlds.layered")
    with Forker("experiments.rung_run", preloaded, tmp_path_factory.mktemp("output")) as forker:
        yield forker


def test_a_walk_that_stops_early_is_a_result(forker: Forker, tmp_path: Path) -> None:
    ended = forker.run(list(SMALL), tmp_path)
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0].startswith("Rungs of f on planted, simulated worker planted: at most 168 attempts")
    assert any("refused, untried: fixed, report, because none has not beaten random@3" in line for line in lines)


def test_a_rung_that_was_named_and_refused_is_code_4_after_the_report(forker: Forker, tmp_path: Path) -> None:
    ended = forker.run(["--json", "--rung", "report", *SMALL], tmp_path)
    assert ended.code == 4
    found = json.loads(ended.out)
    assert (tmp_path / found["paths"]["report"]).is_file()
    assert "error: rung report is refused: none has not beaten random@3 here" in ended.err


def test_a_rung_that_needs_a_model_is_the_callers_mistake(forker: Forker, tmp_path: Path) -> None:
    ended = forker.run(["--rung", "agent", *SMALL], tmp_path)
    assert ended.code == 2
    assert ended.err == "error: rung agent needs --lm MODEL\n"
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_writes_nothing(forker: Forker, tmp_path: Path) -> None:
    ended = forker.run(["--dry-run", *SMALL], tmp_path)
    assert ended.code == 0
    assert "at most 168 attempts" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_what_is_given_goes_before_what_quick_sets() -> None:
    assert merge(RungConfig, None, [*QUICK, "tasks=7"]).tasks == 7
    assert merge(RungConfig, None, QUICK).repeats == 1
