"""The command: what it prints, what it leaves, and the search that takes what it brought."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from experiments.harvest_run import app, resolve, run, told
from experiments.production.prompts import Prompts, prompts_path
from experiments.wiring import ready
from signatures.errors import UsageError
from tests.worlds.planted import PlantedBenchmark
from tests.worlds.small import small
from tests.worlds.taught import play

PLANTED = "tests.worlds.planted:PlantedBenchmark"
TASKS = PlantedBenchmark().tasks("production")[:5]


@pytest.fixture
def produced(tmp_path: Path) -> Path:
    """A root where production ran."""
    with Prompts(prompts_path(tmp_path, "planted")) as prompts:
        prompts.remember(*TASKS)
    play(tmp_path / "corpus-planted.db", TASKS)
    return tmp_path


def test_it_tells_its_findings_and_how_to_search_with_them(produced: Path) -> None:
    config = resolve(None, [f"root={produced}"], PLANTED)
    lines = told(config, run(config))
    assert lines[0].startswith("5 production episodes analysed: ")
    assert any(line.startswith(("high", "medium")) and "the checker of `correct`" in line for line in lines)
    assert lines[-2] == f"harvest: {produced / 'planted-harvest-1'}"
    words = shlex.split(lines[-1].removeprefix("search with it: "))
    assert words[:5] == ["python", "-m", "experiments.gepa_run", "--learn-from", "all"]
    given = dict(word.split("=", 1) for word in words[5:])
    assert ready(small(produced, **given)).splits.train[-5:] == TASKS
    assert told(config, run(config))[-1] == "nothing new: no folder was made"


def test_the_command_prints_json_and_ends_well(produced: Path) -> None:
    ended = CliRunner().invoke(app, ["--json", "--benchmark", PLANTED, f"root={produced}"])
    assert ended.exit_code == 0
    found = json.loads(ended.stdout)
    assert (found["folder"], found["tasks"]) == (str(produced / "planted-harvest-1"), 5)
    assert len(found["analysed"]) == 5


def test_a_corpus_that_is_not_there_ends_with_one_line(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, [f"root={tmp_path}", f"benchmark={PLANTED}"])
    assert ended.exit_code == 2
    assert ended.stderr.count("\n") == 1 and "no such corpus" in ended.stderr


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(UsageError, match="unknown key 'task'"):
        resolve(None, ["task=3"], None)
