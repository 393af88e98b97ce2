"""`production_run` from outside: what it prints and refuses; no kill and no dead registry loses anything."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from experiments.cli import start
from experiments.production.prompts import Prompts
from experiments.production_run import app
from experiments.registry import CHAMPION, Registry
from experiments.tracking import connect, store_of
from tests.worlds.forked import Child, Ended, Forker
from tests.worlds.shipped import BENCHMARK, ship
from tests.worlds.troubled import SLEEP_S

PRELOADED = ("experiments.production.playing", "experiments.registry", "litellm", "tests.worlds.troubled")
TROUBLED = "tests.worlds.troubled:TroubledWorker"
RUN = Path("runs") / "planted-production-s0-1"
CORPUS = Path("runs") / "corpus-planted.db"


@pytest.fixture(scope="module")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    with Forker("experiments.production_run", PRELOADED, tmp_path_factory.mktemp("output")) as forker:
        yield forker


def arguments(**changed: object) -> list[str]:
    values = {"benchmark": BENCHMARK, "release": "release", "tasks": 8, "tracking": False, **changed}
    return [f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in values.items() if v is not None]


def attempts_in(cwd: Path) -> list[tuple[str, str]]:
    """Id and episode of every attempt."""
    try:
        with closing(sqlite3.connect(f"file:{cwd / CORPUS}?mode=ro", uri=True)) as db:
            return sorted(db.execute("SELECT id, episode_id FROM attempts"))
    except sqlite3.Error:  # there is no corpus yet, or its tables are being made
        return []


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not happened():
        time.sleep(0.005)


def slow(forker: Forker, cwd: Path, *, attempts: int) -> Child:
    """A run that has made so many attempts and goes on."""
    child = forker.start(arguments(worker=TROUBLED, concurrency=2), cwd, {SLEEP_S: "0.1"})
    until(lambda: len(attempts_in(cwd)) >= attempts)
    return child


def test_it_says_who_decides_what_it_costs_and_what_replay_can_use(forker: Forker, tmp_path: Path) -> None:
    release = ship(tmp_path / "release")
    ended = forker.run(arguments(), tmp_path)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith(f"{BENCHMARK}, worker planted: 8 tasks of the production split, into {CORPUS}")
    assert lines[1] == (
        f"release planted {release.digest} decides: candidate {release.candidate}, ungated: made by a test, "
        "exploration 0.05"
    )
    assert lines[2] == "at most 24 attempts in 8 episodes of 3; 72 worker turns"
    assert "│ decisions by rule " in ended.out
    assert lines[-2] == "exploration is 0.05: replay can use 8 of the 8 episodes for other candidates"
    assert lines[-1] == f"report: {tmp_path / RUN / 'report.json'}"


def test_with_json_stdout_is_the_report_and_nothing_else(forker: Forker, tmp_path: Path) -> None:
    ship(tmp_path / "release", exploration=0.0)
    ended = forker.run(["--json", *arguments()], tmp_path)
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    assert report == json.loads((tmp_path / RUN / "report.json").read_text())
    (served,) = report["served"]
    assert served["usable"] == 0
    assert served["sentence"] == "exploration is 0: replay can use none of the 8 episodes for other candidates"
    assert served["sentence"] in ended.err


def test_a_dry_run_says_the_same_and_writes_nothing(forker: Forker, tmp_path: Path) -> None:
    ship(tmp_path / "release")
    ended = forker.run(["--dry-run", *arguments()], tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert "at most 24 attempts in 8 episodes of 3" in ended.out
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


def test_a_dry_run_with_json_prints_json_and_nothing_else(forker: Forker, tmp_path: Path) -> None:
    release = ship(tmp_path / "release")
    ended = forker.run(["--dry-run", "--json", *arguments()], tmp_path)
    assert (ended.code, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert told["most"] == {"episodes": 8, "attempts": 24, "turns": 72, "questions": 0, "usd": None}
    assert (told["release"], told["candidate"], told["ungated"]) == (
        release.digest,
        release.candidate,
        "made by a test",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


def test_prompts_of_a_file_are_played_and_kept(forker: Forker, tmp_path: Path) -> None:
    ship(tmp_path / "release")
    (tmp_path / "asked.jsonl").write_text('{"prompt": "one"}\n{"prompt": "two", "id": "t-2"}\n{"prompt": "one"}\n')
    given = arguments(tasks=None, tasks_file="asked.jsonl", worker="tests.worlds.shipped:AnyMachineWorker")
    ended = forker.run(["--json", *given], tmp_path)
    assert ended.code == 0, ended.err
    assert "3 tasks of asked.jsonl" in ended.err
    assert json.loads(ended.out)["served"][0]["episodes"] == 3
    with Prompts(tmp_path / "runs" / "production-planted.db") as prompts:
        assert [task.prompt for task in prompts.all()] == ["one", "two"]


REFUSED: list[tuple[list[str], str]] = [
    (arguments(split="holdout"), "split: holdout is kept for judging"),
    (arguments(split="dev"), "split: dev is kept for judging"),
    (arguments(release="nowhere"), "nowhere"),
    (arguments(tasks=5000), "tasks=5000 asked, the production split has"),
    (arguments(name="other"), "name: 'planted' does not fit 'other'"),
    (arguments(options={"noise": 0.5}), "fingerprints.worker.params"),
    (arguments(tasks_file="none.jsonl"), "none.jsonl: cannot be read"),
    (arguments(taks=3), "did you mean 'tasks'"),
    (["--resume", "nowhere"], "nowhere: is no run folder"),
    (["--resume", "nowhere", "tasks=3"], "it takes no other config"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_cannot_run_is_one_line_and_leaves_no_run(
    given: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(tmp_path / "release")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        start(app, given)
    printed = capsys.readouterr()
    assert ended.value.code in (2, 3)
    assert said in printed.err
    assert printed.err.splitlines()[-1].startswith("error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


def test_a_run_killed_again_and_again_loses_nothing_and_makes_nothing_twice(forker: Forker, tmp_path: Path) -> None:
    release = ship(tmp_path / "release")
    child = slow(forker, tmp_path, attempts=3)
    child.kill(signal.SIGKILL)
    assert child.wait().code == -signal.SIGKILL
    acknowledged = attempts_in(tmp_path)
    again = forker.start(["--resume", str(RUN)], tmp_path, {SLEEP_S: "0.1"})
    until(lambda: len(attempts_in(tmp_path)) > len(acknowledged) + 2)
    again.kill(signal.SIGKILL)
    again.wait()
    ended = forker.run(["--resume", str(RUN), "--json"], tmp_path)
    assert ended.code == 0, ended.err
    (served,) = json.loads(ended.out)["served"]
    attempts = attempts_in(tmp_path)
    assert set(acknowledged) <= set(attempts)
    assert served["release"] == release.digest
    assert (served["episodes"], served["attempts"]) == (8, len(attempts))
    assert len({episode for _, episode in attempts}) == 8


def test_ctrl_c_ends_with_130_and_the_command_that_goes_on(forker: Forker, tmp_path: Path) -> None:
    ship(tmp_path / "release")
    child = slow(forker, tmp_path, attempts=2)
    child.kill(signal.SIGINT)
    ended = child.wait()
    assert ended.code == 130
    said = ended.err.splitlines()[-1].removeprefix("interrupted; resume with: python -m experiments.production_run ")
    again = forker.run(["--json", *shlex.split(said)], tmp_path)
    assert again.code == 0, again.err
    assert json.loads(again.out)["served"][0]["episodes"] == 8


# With the registry.


@pytest.fixture
def registered(root: Path) -> Iterator[Path]:
    """A folder whose run root has a champion in its registry."""
    ship(root / "release")
    runs = root / "runs"
    runs.mkdir()
    shutil.move(root / "mlflow.db", runs / "mlflow.db")
    registry = Registry(store_of(runs))
    registry.point("planted", CHAMPION, registry.create("planted", root / "release", {}))
    yield root


def test_the_registrys_champion_decides_is_tracked_and_outlives_the_registry(forker: Forker, registered: Path) -> None:
    released = arguments(release=None, tracking=True)
    first = forker.run(["--json", *released], registered)
    assert first.code == 0, first.err
    assert "MLflow: 4 of 4 events mirrored" in first.err
    (served,) = json.loads(first.out)["served"]
    metrics = tracked(registered / "runs")
    assert metrics["production s0"]["tier/rule/share"] == 1.0
    assert metrics["production s0"]["success/correct"] == pytest.approx(served["success"]["correct"]["mean"], abs=1e-4)
    assert metrics[f"release {served['release'][:8]}"]["episodes"] == 8
    (registered / "runs" / "mlflow.db").write_bytes(b"not a database any more" * 100)
    for leftover in (registered / "runs").glob("mlflow.db-*"):
        leftover.unlink()
    again = forker.run(["--json", *arguments(release=None)], registered)
    assert again.code == 0, again.err
    assert json.loads(again.out)["served"][0]["release"] == served["release"]
    assert f"release {served['release']} goes on" in again.err


def tracked(runs: Path) -> dict[str, dict[str, float]]:
    client = connect(store_of(runs))
    experiment = client.get_experiment_by_name("tiller/planted")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    return {run.data.tags["tiller.name"]: run.data.metrics for run in found}


def test_without_a_champion_it_says_how_to_get_one(forker: Forker, tmp_path: Path) -> None:
    ended: Ended = forker.run(arguments(release=None), tmp_path)
    assert ended.code == 3
    assert ended.err.splitlines()[-1].startswith("error: models:/planted@champion in sqlite:")
    assert "experiments.promote_run" in ended.err
    assert not (tmp_path / RUN).exists()
