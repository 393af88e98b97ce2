"""`gate_b_run` from outside: a verdict and its files, resumed to the same, one line for what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.cli import start
from experiments.gate.learned.slope_figure import FIGURE
from experiments.gate.report import JSON_FILE, MARKDOWN_FILE
from experiments.gate_b_run import app, resolve, run
from signatures.errors import StoreError
from tests.worlds.streams import SMALL, small_stream

NAME = "tests.worlds.planted.PlantedBenchmark-gate-b-s0-1"


def ran(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        start(app, arguments)
    return ended.value.code


def overrides(**changed: object) -> list[str]:
    return [f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in {**SMALL, **changed}.items()]


def test_a_stream_ends_with_a_verdict_and_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(*overrides(root=str(tmp_path), runs=5, slice=6), "--json") == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    folder = tmp_path / NAME
    assert result["folder"] == str(folder)
    assert result["verdict"] in ("slope", "no slope", "falls")
    assert {JSON_FILE, MARKDOWN_FILE, FIGURE} <= {path.name for path in folder.iterdir()}
    assert json.loads((folder / JSON_FILE).read_text())["sentence"] == result["sentence"]
    assert (folder / FIGURE).read_bytes().startswith(b"\x89PNG")
    lines = printed.err.splitlines()
    assert sum(line.startswith("run ") for line in lines) == 5 + 1
    assert sum(line.startswith("learned for run ") for line in lines) == 4
    assert f"figure: {folder / FIGURE}" in lines


def test_three_runs_allow_no_verdict(tmp_path: Path) -> None:
    assert run(small_stream(tmp_path), say=lambda line: None)["verdict"] == "underpowered"


def test_a_stream_that_is_resumed_ends_the_same(tmp_path: Path) -> None:
    first = run(small_stream(tmp_path), say=lambda line: None)
    folder = tmp_path / NAME
    for path in (*folder.glob("played-02*"), *folder.glob("learned-03*"), folder / JSON_FILE):
        path.unlink()
    assert ran("--resume", str(folder)) == 0
    again = json.loads((folder / JSON_FILE).read_text())
    assert again == {key: value for key, value in first.items() if key not in ("verdict", "folder")}


def test_a_run_with_the_same_seed_finds_the_same(tmp_path: Path) -> None:
    results = [run(small_stream(tmp_path / name), say=lambda line: None) for name in ("a", "b")]
    for result in results:
        for key in ("folder", "config"):
            result.pop(key)
    assert results[0] == results[1]


def test_a_folder_of_another_stream_is_refused(tmp_path: Path) -> None:
    run(small_stream(tmp_path), say=lambda line: None)
    config = tmp_path / NAME / "config.toml"
    config.write_text(config.read_text().replace("seed = 0", "seed = 1"))
    with pytest.raises(SystemExit) as ended:
        start(app, ["--resume", str(tmp_path / NAME)])
    assert ended.value.code in (2, StoreError.exit_code)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (overrides(runs=400), "400 runs of 4 tasks need 1600, the search split has"),
        (overrides(trees=5), "trees=5 is more than slice=4"),
        (["run=4"], "unknown key 'run'; did you mean 'runs'?"),
        (["--resume", "nowhere"], "nowhere: is no run folder"),
        (["--resume", "nowhere", "runs=4"], "takes no other config"),
    ],
)
def test_what_cannot_run_is_one_line_and_leaves_nothing(
    given: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = [] if "--resume" in given or given == ["run=4"] else [f"root={tmp_path}"]
    assert ran(*given, *root) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_quick_gives_way_to_what_is_said() -> None:
    quick = resolve(None, ["runs=5"], quick=True, seed=3)
    assert (quick.runs, quick.seed) == (5, 3)
    assert quick.slice < resolve(None, [], quick=False).slice
