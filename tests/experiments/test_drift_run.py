"""`drift_run` from outside: tables, one sentence, the exit code, and the command that would roll back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from experiments.cli import start
from experiments.drift.config import DriftConfig
from experiments.drift.measuring import measure
from experiments.drift_run import app, resolve, rollback_command
from signatures.errors import UsageError
from tests.worlds.drifting import WORLD, WORSE, Shipped, played, shipped
from tests.worlds.shipped import BENCHMARK

TASKS = WORLD.tasks("production")


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """A release that served 32 machines as it was learned to."""
    return asyncio.run(_served(tmp_path_factory.mktemp("quiet"), worse=0))


@pytest.fixture(scope="module")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """A release whose worker got worse."""
    return asyncio.run(_served(tmp_path_factory.mktemp("drifted"), worse=96))


async def _served(root: Path, *, worse: int) -> Shipped:
    given = await shipped(root, tasks=60)
    await played(given, TASKS[:32])
    await played(given, TASKS[32 : 32 + worse], worker=WORSE)
    return given


def ran(given: Shipped, *arguments: str) -> int | str | None:
    asked = [f"root={given.root}", f"release={given.folder}", "--benchmark", BENCHMARK, *arguments]
    with pytest.raises(SystemExit) as ended:
        start(app, asked)
    return ended.value.code


def test_no_drift_is_said_and_exits_with_0(quiet: Shipped, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(quiet) == 0
    printed = capsys.readouterr().out
    assert "features after one fresh attempt" in printed and "success by the checkers" in printed
    assert "planted.lit.fan" in printed
    assert "no drift shown in 32 production episodes" in printed.splitlines()[-1]
    assert max(len(line) for line in printed.splitlines() if not line.startswith(("report", "no drift"))) <= 110


def test_an_alarm_exits_with_1_and_proposes_a_rollback(drifted: Shipped, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(drifted) == 1
    *_, sentence, proposed = capsys.readouterr().out.splitlines()
    assert sentence.startswith("drift in 128 production episodes: ")
    assert proposed.startswith("to roll back: ")


def test_json_is_the_report(drifted: Shipped, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(drifted, "--json") == 1
    assert json.loads(capsys.readouterr().out)["alarm"] is True


def test_a_limit_can_be_registered_otherwise(drifted: Shipped) -> None:
    assert ran(drifted, "least_psi=50", "tolerance=1") == 0


def test_the_rollback_command_names_the_model_and_the_root(drifted: Shipped) -> None:
    config = DriftConfig(root=str(drifted.root), release=str(drifted.folder), benchmark=BENCHMARK)
    report = asyncio.run(measure(config)).report
    registered = DriftConfig(benchmark=BENCHMARK)
    assert rollback_command(report, registered) == "python -m experiments.rollback_run planted"
    assert rollback_command(report, registered.model_copy(update={"root": "x"})).endswith("planted root=x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--auto-rollback",), "release=FOLDER names none"),
        (("a", "b"), "one registered model at a time"),
        (("alpha=2",), "alpha"),
    ],
)
def test_what_is_refused_is_one_line_and_code_2(
    quiet: Shipped, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert ran(quiet, *arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ") and message in printed.err


def test_a_word_is_the_model_and_the_rest_are_overrides() -> None:
    assert resolve(None, ["my-model", "alpha=0.01"], None) == DriftConfig(name="my-model", alpha=0.01)
    with pytest.raises(UsageError):
        resolve(None, ["../x"], None)
