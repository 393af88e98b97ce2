"""`ablation_run` from outside: effects and files, resumed to the same, one line for what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.ablation_run import app, resolve, run
from experiments.cli import start
from experiments.gate.learned.ablation_config import AblationConfig
from experiments.gate.report import JSON_FILE, MARKDOWN_FILE

NAME = "tests.worlds.planted.PlantedBenchmark-ablation-s0-1"
SMALL = {
    "benchmark": "tests.worlds.planted:PlantedBenchmark",
    "attempts": 2,
    "turns": 3,
    "train": 4,
    "generations": 2,
    "iterations": 2,
    "minibatch": 4,
    "problems": 2,
    "candidates": 2,
    "tasks": 6,
    "repeats": 1,
    "tracking": False,
}


def ran(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        start(app, arguments)
    return ended.value.code


def test_an_ablation_ends_with_effects_and_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in SMALL.items()]
    assert ran(*given, f"root={tmp_path}", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    folder = tmp_path / NAME
    assert result["folder"] == str(folder)
    assert {JSON_FILE, MARKDOWN_FILE} <= {path.name for path in folder.iterdir()}
    marginal = [one for one in result["contrasts"] if one["family"] == "marginal effects"]
    assert [one["name"] for one in marginal] == ["refine", "learned", "tuned"]
    assert all(one["evidence"]["q"] is not None for one in marginal)
    arms = ["none", "tuned", "learned", "learned+tuned"]
    assert [one["arm"] for one in result["spend"]] == [
        *arms,
        *(f"refine+{a}" if a != "none" else "refine" for a in arms),
    ]


def test_a_resumed_one_ends_the_same(tmp_path: Path) -> None:
    first = run(AblationConfig.model_validate({**SMALL, "root": str(tmp_path)}), say=lambda line: None)
    (tmp_path / NAME / JSON_FILE).unlink()
    assert ran("--resume", str(tmp_path / NAME)) == 0
    again = json.loads((tmp_path / NAME / JSON_FILE).read_text())
    assert again == {key: value for key, value in first.items() if key != "folder"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["tasks=99999"], "dev: 99999 tasks asked, the split has"),
        (["task=4"], "unknown key 'task'"),
        (["--resume", "nowhere"], "nowhere: is no run folder"),
        (["--resume", "nowhere", "--quick"], "takes no other config"),
    ],
)
def test_what_cannot_run_is_one_line_and_leaves_nothing(
    given: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [] if "--resume" in given else [f"benchmark={SMALL['benchmark']}", f"root={tmp_path}"]
    assert ran(*given, *where) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_quick_gives_way_to_what_is_said() -> None:
    quick = resolve(None, ["tasks=50"], quick=True, seed=2)
    assert (quick.tasks, quick.seed) == (50, 2)
    assert quick.train < resolve(None, [], quick=False).train
