"""`meta_run` from outside: the lift with its interval, files, resumed to the same, one line for what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.cli import start
from experiments.gate.report import JSON_FILE, MARKDOWN_FILE
from experiments.meta_run import app, resolve
from tests.experiments.meta.test_meta_job import SMALL

NAME = "tests.worlds.planted.PlantedBenchmark-meta-s0-1"


def ran(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        start(app, arguments)
    return ended.value.code


def given() -> list[str]:
    return [f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in SMALL.items()]


def test_a_run_ends_with_what_each_level_adds_and_a_resumed_one_with_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(*given(), f"root={tmp_path}", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    folder = tmp_path / NAME
    assert result["folder"] == str(folder)
    assert {JSON_FILE, MARKDOWN_FILE, "settings.json"} <= {path.name for path in folder.iterdir()}
    steps = {one["name"]: one["evidence"] for one in result["contrasts"]}
    assert list(steps) == ["controller - worker", "search - controller", "tuned search - search"]
    assert all(one["lo"] <= one["effect"] <= one["hi"] for one in steps.values())
    (folder / JSON_FILE).unlink()
    assert ran("--resume", str(folder)) == 0
    again = json.loads((folder / JSON_FILE).read_text())
    assert again == {key: value for key, value in result.items() if key != "folder"}


def test_a_dry_run_says_what_it_would_take_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(*given(), f"root={tmp_path}", "--dry-run", "--json") == 0
    cost = json.loads(capsys.readouterr().out)
    assert cost["total"] == cost["record"] + cost["live_search"] + cost["confirm"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dev=99999"], "dev: "),
        (["held=50"], "the pool 48"),
        (['engines=["gepa_serch"]'], "gepa_serch"),
        (["--resume", "nowhere"], "nowhere: is no run folder"),
        (["--resume", "nowhere", "--quick"], "takes no other config"),
    ],
)
def test_what_cannot_run_is_one_line_and_leaves_nothing(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [] if "--resume" in arguments else [f"benchmark={SMALL['benchmark']}", f"root={tmp_path}"]
    assert ran(*arguments, *where) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_quick_gives_way_to_what_is_said() -> None:
    quick = resolve(None, ["problems=5"], quick=True, seed=2)
    assert (quick.problems, quick.seed) == (5, 2)
    assert quick.pool < resolve(None, [], quick=False).pool
