"""The command: what it refuses, what it says beforehand, and a whole run on a served model."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from experiments.cli import start
from experiments.skill_run import app
from tests.controllers.parts import action_text
from tests.controllers.serving import recording, top
from tests.worlds.skilled import BENCHMARK, TURNS, grow

POLICIES = 'policies=["steer"]'


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grow(tmp_path_factory.mktemp("skill"))


def ended(*given: str) -> int:
    with pytest.raises(SystemExit) as error:
        start(app, given)
    return int(error.value.code or 0)


def arguments(root: Path, lm: str = "openai/served") -> list[str]:
    return ["--lm", lm, "--benchmark", BENCHMARK, "--quick", f"root={root}", f"turns={TURNS}", POLICIES, "chars=400"]


def test_a_dry_run_says_what_it_would_ask_and_writes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = sorted(root.iterdir())
    assert ended(*arguments(root), "--dry-run") == 0
    assert capsys.readouterr().out.startswith("at most ")
    assert sorted(one for one in root.iterdir() if one.is_dir()) == [one for one in there if one.is_dir()]


def test_a_run_on_a_served_model(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with recording() as server:
        server.reply = action_text("fan")
        server.logprobs = top(B=math.log(0.5), A=math.log(0.2), C=math.log(0.1), D=math.log(0.1), E=math.log(0.1))
        given = [*arguments(root), f"api_base={server.url}", "tracking=false"]
        assert ended(*given, "--json") == 0
        asked = len(server.bodies)
        out = capsys.readouterr()
        report = json.loads(out.out)
        folder = next(line for line in out.err.splitlines() if line.startswith("run folder: ")).partition(": ")[2]
        assert ended("--resume", folder) == 0
        assert len(server.bodies) == asked == report["asked"]
    ways = {one["way"]: one for one in report["policies"][0]["ways"]}
    assert ways["zero-shot"]["chosen"] == ways["log-probabilities"]["chosen"] == {"fan": ways["zero-shot"]["n"]}
    assert ways["zero-shot"]["tokens"] == 16
    said = capsys.readouterr().out
    assert "log-probabilities" in said and "steer: zero-shot" in said and f"report: {folder}" in said


def test_what_cannot_be_is_one_line(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--benchmark", BENCHMARK) == 2
    assert ended(*arguments(root), "margin=2") == 2
    assert ended("--resume", str(tmp_path), "test=3") == 2
    assert ended("--resume", str(tmp_path)) == 2
    assert ended(*arguments(root), "margin=1.0", "--dry-run") == 4
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 5 and all(line.startswith("error: ") for line in said)
