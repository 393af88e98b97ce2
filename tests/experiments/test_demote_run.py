"""The command: one clear line for what it refuses, a report for what it finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.cli import start
from experiments.demote_run import app
from tests.worlds.tiered import BENCHMARK, grow, model, play, saved_controller, steered_by

TASKS = 8


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("demote")
    lm, _ = model()
    play(grow(root, tasks=TASKS), steered_by(lm), lm, tasks=TASKS)
    return root, saved_controller(root / "saved", steered_by(lm), lm)


def arguments(world: tuple[Path, str]) -> list[str]:
    root, controller = world
    return [controller, "--benchmark", BENCHMARK, f"root={root}", "attempts=2", "turns=3", "tracking=false"]


def ended(given: list[str]) -> int:
    with pytest.raises(SystemExit) as error:
        start(app, given)
    return int(error.value.code or 0)


def test_it_says_that_nothing_is_proposed(world: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(arguments(world)) == 0
    out = capsys.readouterr().out
    assert "nothing is proposed: steer" in out and "agreement" in out and "next:" not in out
    assert "0 inputs were asked live" in out


def test_the_report_as_json(world: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ended([*arguments(world), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "demote"


def test_what_cannot_be_is_one_line(world: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ended([*arguments(world), "regret=2"]) == 2
    assert ended(["none.json", *arguments(world)[1:]]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all(line.startswith("error: ") for line in said)
