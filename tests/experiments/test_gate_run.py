"""`gate_run decide` from outside: lines of JSON, exit codes, one line for what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.cli import start
from experiments.gate_run import app
from tests.worlds.gated import saved
from tests.worlds.lab import lamp_follower

PLANTED = "tests.worlds.planted:PlantedBenchmark"
HEADER = "experiment,task,baseline,candidate\n"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two experiments: one with 15 wins and 5 losses of 76, one without a difference."""
    outcomes = [(0, 1)] * 15 + [(1, 0)] * 5 + [(0, 0)] * 56
    rows = [f"steer,t{i},{baseline},{candidate}" for i, (baseline, candidate) in enumerate(outcomes)]
    rows += [f"copy,t{i},1,1" for i in range(20)]
    path = tmp_path / "pairs.csv"
    path.write_text(HEADER + "\n".join(rows), encoding="utf-8")
    return path


def ran(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        start(app, ["decide", *arguments])
    return ended.value.code


def test_one_line_of_json_per_experiment(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("--pairs", str(pairs)) == 0
    printed = capsys.readouterr()
    found = [json.loads(line) for line in printed.out.splitlines()]
    assert [(one["experiment"], one["verdict"], one["n"]) for one in found] == [
        ("steer", "promote", 76),
        ("copy", "uninformative", 20),
    ]
    assert printed.err == ""


def test_options_reach_the_decision(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--alpha", ".02", "--min-effect", ".4", "--range=-1,1", "--margin", "0.1", "--optional-stopping")
    assert ran("--pairs", str(pairs), *options, "--family") == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["verdict"] == "hold"
    assert (first["alpha"], first["evidence"][0]["kind"]) == (0.02, "bounded")
    assert "0.40" in first["power"]
    assert first["q"] is not None


def test_columns_that_are_not_read_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("task,baseline,candidate,model\na,0,1,m\n", encoding="utf-8")
    assert ran("--pairs", str(path)) == 0
    printed = capsys.readouterr()
    assert printed.err == "note: columns that are not read: model\n"
    assert json.loads(printed.out)["verdict"] == "underpowered"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", (), "is empty"),
        (HEADER, (), "no row"),
        ("task,baseline\na,1\n", (), "no column 'candidate'"),
        (HEADER + "x,a,0,1\nx,b,,1\n", (), "line 3: task b: no value in column 'baseline'"),
        (HEADER + "x,a,0,1\nx,a,0,1\n", (), "task a is there twice in experiment x"),
        (HEADER + "x,a,0,1.5\n", (), "1.5 in column 'candidate' is outside the range 0 to 1"),
        (HEADER + "x,a,0,1\n", ("--range", "1,0"), "lo must be below hi"),
        (HEADER + "x,a,0,1\n", ("--alpha", "0.5"), "alpha"),
        (HEADER + "x,a,0,1\n", ("--alpha", "nan"), "alpha"),
        (HEADER + "x,a,0,1\n", ("--min-effect", "2"), "no difference can be above 1"),
        (HEADER + "x,a,0,1\n", ("--margin", "two"), "expected a number"),
        (HEADER + "x,a,0,1\n", ("--seed", "1"), "No such option"),
    ],
)
def test_what_is_refused_is_one_line_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, options: tuple[str, ...], message: str
) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(text, encoding="utf-8")
    assert ran("--pairs", str(path), *options) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("--pairs", str(tmp_path / "none.csv")) == 2
    assert "No such file" in capsys.readouterr().err


def test_decide_is_one_command_of_several(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        start(app, ["--help"])
    assert "decide" in capsys.readouterr().out


class TestTheHoldout:
    @pytest.fixture
    def asked(self, tmp_path: Path) -> list[str]:
        """Arguments of `register` for a small gate below a root of its own."""
        candidate = saved(tmp_path / "saved", "lamp", lamp_follower())
        given = ["--candidate", candidate, "--baseline", "continue@3", "--benchmark", PLANTED]
        return [*given, "turns=3", "slices=12", "tracking=false", f"root={tmp_path / 'runs'}"]

    def test_registered_run_and_refused_the_second_time(
        self, asked: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert called("register", *asked) == 0
        printed = capsys.readouterr().out.splitlines()
        assert printed[0] == "lamp - continue@3 on planted holdout 1 of 12: 15 tasks, repeats 1"
        path = printed[-2].removeprefix("registration: ")
        assert printed[-1] == f"next: python -m experiments.gate_run run {path}"
        assert called("run", path) == 0
        said = capsys.readouterr().out
        assert "hold: lamp - continue@3 on 15 tasks" in said or "underpowered: lamp - continue@3 on 15 tasks" in said
        assert "holdout ledger verified: 3 rows" in said
        assert called("run", str(Path(path).parent)) == 4
        again = capsys.readouterr()
        assert again.err.startswith("error: ") and again.err.count("\n") == 1

    def test_the_report_as_json_alone_on_stdout(self, asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert called("register", *asked) == 0
        path = capsys.readouterr().out.splitlines()[-2].removeprefix("registration: ")
        assert called("run", path, "--json") == 0
        printed = capsys.readouterr()
        assert json.loads(printed.out)["split"] == "holdout"
        assert "15 tasks" in printed.err

    def test_what_cannot_be_registered_is_one_line_and_code_2(
        self, asked: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert called("register", *asked, "alpha=0.7") == 2
        assert "alpha" in capsys.readouterr().err
        assert called("register", "--baseline", "continue@3") == 2
        assert "candidate" in capsys.readouterr().err
        assert called("run", "nowhere.json") == 2
        assert "nothing was registered here" in capsys.readouterr().err


def called(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        start(app, list(arguments))
    return ended.value.code
