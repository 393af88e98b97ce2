"""The canary against child programs that cheat: what is not the compiled candidate, live and witnessed, is caught."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments.promote.canary import Canaried, Plan, canary
from experiments.promote.config import PromoteConfig
from signatures.errors import UsageError
from tests.worlds.lab import lamp_follower, steered
from tests.worlds.planted import CountingWorker, PlantedBenchmark
from tests.worlds.released import released

CHEATS = Path(__file__).parents[2] / "worlds" / "cheats.py"


class Stage(NamedTuple):
    plan: Plan
    worker: CountingWorker
    folder: Path

    async def see(self, how: str, *, timeout_s: float = 40.0) -> Canaried:
        config = self.plan.config.model_copy(update={"canary_timeout_s": timeout_s})
        program = (sys.executable, str(CHEATS), how, str(self.folder / "new"), str(self.folder / "old"))
        self.worker.calls.clear()
        plan = Plan(**{**vars(self.plan), "config": config})
        return await canary(plan, program=program, nonce="n1")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The lamp follower, released, and before it one that always says `core`."""
    folder = tmp_path_factory.mktemp("stage")
    new, old = released(folder / "new", lamp_follower()), released(folder / "old", steered("core"))
    benchmark = PlantedBenchmark()
    worker = CountingWorker(benchmark.worker(None, None))
    config = PromoteConfig(
        benchmark="tests.worlds.planted:PlantedBenchmark", root=str(folder), canary_states=24, canary_tasks=3
    )
    plan = Plan(
        config=config,
        name="planted",
        alias="challenger",
        compiled=new,
        before=old.controller,
        benchmark=benchmark,
        worker=worker,
    )
    return Stage(plan, worker, folder)


async def test_the_honest_child_passes_and_the_worker_was_called(stage: Stage) -> None:
    seen = await stage.see("honest")
    assert (seen.passed, seen.evidence) == (True, ())
    assert len({task for task, _ in stage.worker.calls}) == 3
    assert f"3 live tasks with {len(stage.worker.calls)} attempts" in seen.verdict
    assert "decided otherwise by the present champion" in seen.verdict


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("falls_back", "loaded release"),
        ("lies", "states are decided otherwise"),
        ("old_when_live", "is not on record"),
        ("canned", "states are decided otherwise"),
        ("cached", "is not on record"),
        ("idle", "no episode is on record"),
        ("scrambled", "what the fresh process recorded cannot be read"),
        ("stubbed", "the worker was never called for attempt"),
        ("unsteered", "with another task, steer or start"),
        ("silent", "ended without an answer: MemoryError: nothing left"),
        ("babbles", "no line of a canary"),
    ],
)
async def test_a_child_that_cheats_is_caught(stage: Stage, how: str, told: str) -> None:
    seen = await stage.see(how)
    assert not seen.passed
    assert any(told in line for line in seen.evidence), seen.evidence
    assert seen.verdict == f"canary failed: {seen.evidence[0]}"


async def test_a_child_that_hangs_is_ended(stage: Stage) -> None:
    seen = await stage.see("hangs", timeout_s=3.0)
    assert seen.evidence[0] == "the fresh process has not answered within 3 s"


async def test_a_program_that_is_not_there_is_a_failed_canary(stage: Stage) -> None:
    seen = await canary(stage.plan, program=("/no/such/program",))
    assert not seen.passed
    assert "no fresh process could be started" in seen.verdict


async def test_without_a_benchmark_no_task_is_played(stage: Stage) -> None:
    quiet = Stage(Plan(**{**vars(stage.plan), "benchmark": None, "worker": None}), stage.worker, stage.folder)
    seen = await quiet.see("honest")
    assert seen.passed
    assert "live" not in seen.verdict
    assert stage.worker.calls == []


async def test_exploration_that_does_not_fit_the_actions_is_refused(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        released(tmp_path / "much", lamp_follower(), exploration=0.4)
