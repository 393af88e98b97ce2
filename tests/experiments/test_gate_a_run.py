"""Gate A as a command: what it prints, its exit codes, and that a killed run goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.config import merge
from experiments.gate.arms.gate_a import prepare
from experiments.gate_a_run import QUICK, GateAConfig, run
from tests.worlds.forked import Forker

SMALL = (
    "benchmark=tests.worlds.layered:LayeredBenchmark",
    "turns=3",
    "tasks=6",
    "surface_tasks=3",
    "grid_attempts=[2]",
    "grid_turns=[3]",
    "noise=[0.4]",
    "retest=2",
    "tracking=false",
)


@pytest.fixture(scope="module")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    preloaded = ("experiments.gate.arms.gate_a", "litellm", "tests.worlds.layered")
    with Forker("experiments.gate_a_run", preloaded, tmp_path_factory.mktemp("output")) as forker:
        yield forker


def test_the_first_line_is_the_cost_and_the_last_are_the_paths(forker: Forker, tmp_path: Path) -> None:
    ended = forker.run(list(SMALL), tmp_path)
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0].startswith("Gate A on planted, simulated worker planted: at most 198 attempts")
    assert any("Gate A does not pass" in line for line in lines)  # a negative verdict is no failure
    paths = dict(line.split(": ", 1) for line in lines[-4:])
    assert all((tmp_path / paths[name]).is_file() for name in ("report", "page", "figure"))


def test_json_is_the_report_alone_on_stdout(forker: Forker, tmp_path: Path) -> None:
    ended = forker.run(["--json", *SMALL], tmp_path)
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["kind"] == "gate-a"
    assert json.loads((tmp_path / found["paths"]["report"]).read_text())["sentence"] == found["sentence"]


def test_a_dry_run_writes_nothing(forker: Forker, tmp_path: Path) -> None:
    ended = forker.run(["--dry-run", "--json", *SMALL], tmp_path)
    assert (ended.code, json.loads(ended.out)) == (0, {"attempts": 198})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argument", "said"),
    [("attempts=1", "attempts"), ("refine=nothing", "is one of"), ("tasks=9999", "9999"), ("bugdet=1", "unknown key")],
)
def test_what_cannot_run_is_one_line_and_code_2(argument: str, said: str, forker: Forker, tmp_path: Path) -> None:
    ended = forker.run([*SMALL, argument], tmp_path)
    assert ended.code == 2
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


def test_infrastructure_that_took_one_arm_alone_is_a_refusal_with_code_4(forker: Forker, tmp_path: Path) -> None:
    worker = "worker=tests.worlds.layered:SteerHater"
    ended = forker.run([*SMALL, "tasks=24", "surface_tasks=0", "repeats=1", worker], tmp_path)
    assert ended.code == 4
    assert "cannot be compared" in ended.err
    assert "more than chance" in ended.err


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    """A run stopped after its first arms, started again, ends as one that was never stopped."""
    config = merge(GateAConfig, None, [*SMALL, "tasks=4", "surface_tasks=0", f"root={tmp_path}"])
    whole = run(config.model_copy(update={"root": str(tmp_path / "whole")}), quiet=True)

    async def killed() -> None:
        from experiments.gate.arms.contrasts import measure
        from experiments.gate.arms.workbench import opened

        plan = prepare(config)
        plan.folder.mkdir(parents=True)
        with opened(plan.base, plan.folder / "world") as parts:
            for arm in plan.arms.all[:2]:
                await measure(parts, arm, plan.base.splits.dev, seeds=plan.seeds, namespace="arms", step=lambda: None)

    asyncio.run(killed())
    again = run(config, quiet=True)
    assert again.report.contrasts == whole.report.contrasts
    assert again.report.spend == whole.report.spend
    assert again.report.data == whole.report.data


def test_what_is_given_goes_before_what_quick_sets() -> None:
    quick = merge(GateAConfig, None, [*QUICK, "tasks=7"])
    assert quick.tasks == 7
    assert quick.surface_tasks < GateAConfig().surface_tasks
