from __future__ import annotations

import pytest

from controllers.isolation import SandboxConfig
from controllers.sandbox import Sandbox
from controllers.worlds.refactory import (
    Exercise,
    Loaded,
    RefactoryWorld,
    agrees,
    data_folder,
    failures,
    passed,
)
from signatures.errors import UsageError, WorkerError

TESTS = {"f(1)": "2", "f(2)": "3", "f(0)": "1"}


@pytest.fixture(scope="module")
def world() -> RefactoryWorld:
    return RefactoryWorld({"task": Exercise(1, "def f(x): return x")}, {1: Loaded("base = 1", TESTS)})


def test_only_the_very_value_agrees() -> None:
    assert agrees((True, "1"), "1")
    assert not agrees((True, "True"), "1") and not agrees((False, "1"), "1") and not agrees(None, "None")


def test_reports_are_counted_and_told() -> None:
    report = [(True, "2"), (False, "TypeError: no"), None]
    assert passed(report, TESTS) == 1
    assert failures(report, TESTS) == ["f(2): expected 3, raised TypeError: no", "f(0): expected 1, not run"]


def test_tasks_are_known_by_digest(world: RefactoryWorld) -> None:
    assert world.exercise("task").program == "def f(x): return x" and world.question_of("task") == 1
    assert world.question_of("other") is None
    with pytest.raises(UsageError, match="no task other"):
        world.exercise("other")


async def test_programs_of_one_sandbox_are_told_apart(world: RefactoryWorld) -> None:
    good, bad = await world.run(1, ["def f(x): return x + base", "def f(x): return x"], tuple(TESTS))
    assert (passed(good, TESTS), passed(bad, TESTS)) == (3, 0)
    assert await world.run(1, [], tuple(TESTS)) == []


async def test_a_program_that_ends_the_sandbox_was_not_run(world: RefactoryWorld) -> None:
    killer = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"
    assert await world.run(1, [killer, killer], ("f(1)",)) == [[None], [None]]


async def test_lone_surrogates_and_nonsense_are_no_error(world: RefactoryWorld) -> None:
    [report] = await world.run(1, ["\ud800 \x00"], tuple(TESTS))
    assert passed(report, TESTS) == 0


async def test_what_was_tested_is_remembered(world: RefactoryWorld) -> None:
    program = "def f(x): return x + base"
    first = await world.tested(1, program)
    assert passed(first, TESTS) == 3 and await world.tested(1, program) is first


def test_the_data_are_the_package_s() -> None:
    assert len(list((data_folder() / "question_1" / "code" / "wrong").glob("*.py"))) == 575


async def test_a_machine_that_does_not_get_through_says_nothing_of_the_programs() -> None:
    hurried = Sandbox(SandboxConfig(memory_bytes=256 << 20, wall_s=0.0))
    world = RefactoryWorld({}, {1: Loaded("", TESTS)}, sandbox=hurried)
    with pytest.raises(WorkerError, match="the programs were not through") as raised:
        await world.run(1, ["def f(x): return x"], tuple(TESTS))
    assert raised.value.retryable
