"""Collecting as a command: what it prints, what it refuses, and that no kill changes how it ends."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from tests.worlds.forked import ROOT, Child, Ended, Forker
from tests.worlds.small_collect import MOST, collect_arguments
from tests.worlds.troubled import FAILS, HANGS_AFTER, SLEEP_S

PRELOADED = ("experiments.collect.job", "litellm", "tests.worlds.troubled")
TROUBLED = "tests.worlds.troubled:TroubledWorker"
CORPUS = Path("runs") / "corpus-planted.db"


@pytest.fixture(scope="module")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    with Forker("experiments.collect_run", PRELOADED, tmp_path_factory.mktemp("output")) as forker:
        yield forker


@pytest.fixture(scope="module")
def whole(forker: Forker, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Path]:
    """An uninterrupted run, and where it ran."""
    cwd = tmp_path_factory.mktemp("whole")
    ended = forker.run(["--json", *collect_arguments(worker=TROUBLED)], cwd)
    assert ended.code == 0, ended.err
    return ended, cwd


def stored(cwd: Path) -> dict[str, list[str]]:
    """The ids of all records, and of all verdicts."""
    found: dict[str, list[str]] = {}
    with closing(sqlite3.connect(cwd / CORPUS)) as db:
        for table in ("attempts", "decisions", "episodes"):
            found[table] = sorted(id for (id,) in db.execute(f"SELECT id FROM {table}"))
    with closing(sqlite3.connect(cwd / CORPUS.with_suffix(".verdicts.db"))) as db:
        found["verdicts"] = sorted(id for (id,) in db.execute("SELECT id FROM verdicts"))
    return found


def attempts_in(cwd: Path) -> int:
    if not (cwd / CORPUS).exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{cwd / CORPUS}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM attempts").fetchone()[0])
    except sqlite3.Error:  # its tables are being made
        return 0


def until(child: Child, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not happened():
        time.sleep(0.005)


def cells(ended: Ended) -> Any:
    return json.loads(ended.out)["cells"]


# What it prints.


def test_it_says_what_it_costs_what_is_supported_and_what_to_buy(forker: Forker, tmp_path: Path) -> None:
    ended = forker.run(collect_arguments(), tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert "\x1b" not in ended.out and "\r" not in ended.out
    first, second, *_ = ended.out.splitlines()
    assert first.startswith("tests.worlds.planted:PlantedBenchmark, worker planted, seed 0: 3 tasks")
    assert second == f"at most {MOST} attempts: 18 in 6 stochastic episodes, 36 in 3 trees"
    for action in ("fresh", "none", "fan", "pump", "valve", "core"):
        assert f"│ {action} " in ended.out
    command = ended.out.splitlines()[-1].strip()
    bought = forker.run(shlex.split(command.partition("collect_run ")[2]), tmp_path)
    assert bought.code == 0, bought.err
    again = forker.run(collect_arguments(), tmp_path)
    assert "made now: 0 attempts" in again.out


def test_with_json_stdout_is_the_outcome_and_nothing_else(whole: tuple[Ended, Path]) -> None:
    ended, cwd = whole
    outcome = json.loads(ended.out)
    assert outcome["made"]["attempts"] == len(stored(cwd)["attempts"]) == sum(c["attempts"] for c in outcome["cells"])
    assert outcome["stochastic"]["episodes"] == 6
    assert outcome["trees"] == 3
    assert "what the corpus supports" in ended.err
    assert (cwd / outcome["corpus"]).exists() and (cwd / outcome["ledger"]).exists()


@pytest.mark.parametrize("options", [[], ["--json"], ["--top-up", "9"]])
def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(
    forker: Forker, tmp_path: Path, options: list[str]
) -> None:
    ended = forker.run(["--dry-run", *options, *collect_arguments()], tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert list(tmp_path.iterdir()) == []
    if "--json" in options:
        assert json.loads(ended.out)["attempts"] == MOST
    else:
        assert ended.out.startswith(f"at most {9 if options else MOST} attempts")


REFUSED: list[tuple[list[str], str]] = [
    (["--benchmark", "telecon"], "did you mean 'telecom'"),
    (["--worker", "scriptet"], "did you mean 'scripted'"),
    (["--wroker", "scripted"], "No such option: --wroker"),
    (["--top-up", "-1"], "top_up: Input should be greater than or equal to 0"),
    (["floor=0.04"], "floor: Input should be greater than or equal to 0.05"),
    (["floor=0.3"], "floor=0.3 cannot hold for the 5 actions that steer may draw"),
    (["depth=4"], "depth: Input should be less than or equal to 3"),
    (["plan=half"], "plan: Input should be 'both', 'stochastic' or 'branching'"),
    (["taks=3"], "did you mean 'tasks'"),
    (["tasks=5000"], "tasks=5000 asked"),
    (["max_usd=3"], "max_usd needs attempt_usd"),
    (["corpus=garbage.db"], "garbage.db: cannot open: file is not a database"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED, ids=[" ".join(given) for given, _ in REFUSED])
def test_bad_input_is_one_line(forker: Forker, tmp_path: Path, given: list[str], said: str) -> None:
    (tmp_path / "garbage.db").write_text("not a database, " * 100)
    ended = forker.run(["--dry-run", *collect_arguments(), *given], tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ") and ended.err.count("\n") == 1
    assert said in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["garbage.db"]


# Again.


def test_a_run_killed_again_and_again_ends_as_if_never_killed(
    forker: Forker, whole: tuple[Ended, Path], tmp_path: Path
) -> None:
    command = ["--json", *collect_arguments(worker=TROUBLED, concurrency=2)]
    rng, killed, last = random.Random(7), 0, len(stored(whole[1])["attempts"])
    while killed < 5 and (before := attempts_in(tmp_path)) < last:
        child = forker.start(command, tmp_path, {SLEEP_S: "0.05"})
        until(child, lambda before=before: attempts_in(tmp_path) > before)  # type: ignore[misc]
        time.sleep(rng.uniform(0, 0.1))
        child.kill(signal.SIGKILL)
        assert child.wait().code == -signal.SIGKILL
        killed += 1
    assert killed > 1
    ended = forker.run(command, tmp_path)
    assert ended.code == 0, ended.err
    assert cells(ended) == cells(whole[0])
    assert stored(tmp_path) == stored(whole[1])


def test_a_killed_top_up_goes_on_and_spends_no_more(forker: Forker, tmp_path: Path) -> None:
    sizes: dict[str, JsonValue] = {"plan": "branching", "worker": TROUBLED, "concurrency": 1}
    command = ["--json", *collect_arguments(**sizes)]
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        assert forker.run(command, tmp_path / name).code == 0
    planned = attempts_in(tmp_path / "whole")
    assert forker.run(["--top-up", "10", *command], tmp_path / "whole").code == 0
    child = forker.start(["--top-up", "10", *command], tmp_path / "killed", {SLEEP_S: "0.05"})
    until(child, lambda: attempts_in(tmp_path / "killed") >= planned + 3)
    child.kill(signal.SIGKILL)
    assert child.wait().code == -signal.SIGKILL
    ended = forker.run(["--top-up", "10", *command], tmp_path / "killed")
    assert "a top-up of 10 attempts was interrupted: it goes on" in ended.err
    assert stored(tmp_path / "killed") == stored(tmp_path / "whole")
    assert attempts_in(tmp_path / "killed") == planned + 10


def test_ctrl_c_ends_with_130_and_the_command_that_goes_on(
    forker: Forker, whole: tuple[Ended, Path], tmp_path: Path
) -> None:
    child = forker.start(collect_arguments(worker=TROUBLED), tmp_path, {HANGS_AFTER: "9"})
    until(child, lambda: attempts_in(tmp_path) > 2)
    child.kill(signal.SIGINT)
    ended = child.wait()
    assert ended.code == 130
    command = ended.err.removeprefix("interrupted; resume with: python -m experiments.collect_run ")
    again = forker.run(["--json", *shlex.split(command)], tmp_path)
    assert again.code == 0, again.err
    assert stored(tmp_path) == stored(whole[1])


def test_two_do_not_collect_into_one_corpus_at_once(forker: Forker, tmp_path: Path) -> None:
    child = forker.start(collect_arguments(worker=TROUBLED, concurrency=1), tmp_path, {SLEEP_S: "0.5"})
    until(child, lambda: attempts_in(tmp_path) > 0)
    ended = forker.run(collect_arguments(worker=TROUBLED), tmp_path)
    child.kill()
    child.wait()
    assert ended.code == 2
    assert "another process is collecting into this corpus" in ended.err


def test_a_worker_that_always_fails_stops_the_run_before_it_spends(
    forker: Forker, whole: tuple[Ended, Path], tmp_path: Path
) -> None:
    fails = tmp_path / "fails"
    fails.touch()
    ended = forker.run(["--json", *collect_arguments(worker=TROUBLED)], tmp_path, {FAILS: str(fails)})
    assert ended.code == 3
    assert ended.err.splitlines()[-1].startswith("error: 10 infrastructure failures in a row")
    fails.unlink()
    again = forker.run(["--json", *collect_arguments(worker=TROUBLED)], tmp_path)
    assert again.code == 0, again.err
    outcome = json.loads(again.out)
    assert (outcome["stochastic"]["episodes"], outcome["trees"], outcome["spoilt"]) == (6, 3, 0)


def test_from_the_shell_it_collects_on_the_telecom_benchmark(tmp_path: Path) -> None:
    pytest.importorskip("tau2")
    given = ["tasks=2", "episodes_per_task=2", "roots=1", "depth=2", "turns=6"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.collect_run", *given],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "telecom, worker telecom, seed 0: 2 tasks of the search split, into runs/corpus-telecom.db"
    )
    for action in ("fresh", "untried", "undo", "recheck"):
        assert f"│ {action} " in done.stdout
