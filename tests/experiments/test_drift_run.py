"""`drift_run` from outside: tables, one sentence, the exit code, and the command that would roll back."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest

from controllers.corpus import SqliteCorpus
from controllers.release import load_champion
from experiments.cli import start
from experiments.drift.config import DriftConfig
from experiments.drift.measuring import Measured, measure
from experiments.drift_run import app, resolve, roll_back, rollback_command, run
from experiments.promote_run import app as promote
from experiments.registry import Registry, RegistrySource
from experiments.tracking import store_of
from signatures.errors import UsageError
from tests.worlds.drifting import WORLD, WORSE, Shipped, played, searched, shipped
from tests.worlds.gated import saved
from tests.worlds.lab import Lab, lamp_follower, steered
from tests.worlds.shipped import BENCHMARK, serve

PROMOTED = (f"benchmark={BENCHMARK}", "turns=3")
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
        (("--auto-rollback",), "another release was named"),
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


@pytest.mark.slow
def test_auto_rollback_restores_the_champion_before_and_no_other(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a real registry: two promotions, a worker that gets worse, an alarm."""
    registry = Registry(store_of(root))
    asyncio.run(_searched(root))
    for name, candidate in (("first", steered("fan")), ("second", lamp_follower())):
        with pytest.raises(SystemExit) as ended:
            start(promote, [saved(root / "saved", name, candidate), "--allow-ungated", f"root={root}", *PROMOTED])
        assert ended.value.code == 0
    asyncio.run(_produced(root))
    asked = [f"root={root}", "--benchmark", BENCHMARK]
    report = measured_by(asked, 1).report
    assert champion(registry) == "2", "an alarm proposes, it does not perform"
    capsys.readouterr()
    measured_by([*asked, "--auto-rollback"], 1)
    assert champion(registry) == "1"
    assert "champion: version 1 of planted again, before it version 2: drift in 96" in capsys.readouterr().out
    with pytest.raises(UsageError, match="became champion meanwhile"):
        roll_back(report, resolve(None, asked[:1], BENCHMARK), say=print)
    measured_by([*asked, "--auto-rollback"], 0)
    assert champion(registry) == "1"


def measured_by(arguments: list[str], code: int) -> Measured:
    """The look that the command line asks for; it must end with this code."""
    with pytest.raises(SystemExit) as ended:
        start(app, arguments)
    assert (ended.value.code or 0) == code
    return run(resolve(None, arguments[:1], BENCHMARK))


def champion(registry: Registry) -> str:
    found = registry.version_of("planted", "champion")
    assert found is not None
    return found.version


async def _searched(root: Path) -> None:
    lab = Lab(root)
    with closing(SqliteCorpus(root / "corpus-planted.db")) as corpus:
        await searched(corpus, lab, 60)
    lab.close()


async def _produced(root: Path) -> None:
    now = load_champion(RegistrySource("planted", "champion", store_of(root)))
    with closing(SqliteCorpus(root / "corpus-planted.db")) as corpus:
        await serve(corpus, now, TASKS[:96], worker=WORSE)
