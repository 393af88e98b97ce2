from __future__ import annotations

import pytest

from controllers.checkers.refactory import RefactoryChecker
from controllers.testing_workers import CheckerContract
from controllers.worlds.refactory import Exercise, Loaded, RefactoryWorld
from signatures.errors import UsageError
from signatures.records import AttemptResult, Task

TASK = Task(digest="task", benchmark="refactory", prompt="Write f.")
WORLD = RefactoryWorld({"task": Exercise(1, "def f(x): return x")}, {1: Loaded("", {"f(1)": "2", "f([])": "[]"})})
CHECKER = RefactoryChecker(WORLD)


class TestContract(CheckerContract):
    @pytest.fixture
    def checker(self) -> RefactoryChecker:
        return CHECKER

    @pytest.fixture
    def task(self) -> Task:
        return TASK

    @pytest.fixture
    def result(self) -> AttemptResult:
        return AttemptResult(output="def f(x): return x")


async def test_all_tests_passed() -> None:
    output = "Here it is:\n```python\ndef f(x): return x and x + 1\n```\nIt returns what was asked."
    found = await CHECKER.check(TASK, AttemptResult(output=output))
    assert (found.value, found.passed, found.detail) == (1.0, True, "2 of 2 tests passed")
    assert found.isolation == WORLD.isolation


async def test_some_tests_passed() -> None:
    found = await CHECKER.check(TASK, AttemptResult(output="def f(x): return x"))
    assert (found.value, found.passed) == (0.5, False)
    assert found.detail == "1 of 2 tests passed\nf(1): expected 2, got 1"


async def test_no_program_passes_nothing() -> None:
    for output in ("", "I cannot do that.", "def f(:"):
        found = await CHECKER.check(TASK, AttemptResult(output=output))
        assert (found.value, found.passed) == (0.0, False)


async def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UsageError, match="no task other"):
        await CHECKER.check(TASK.model_copy(update={"digest": "other"}), AttemptResult(output=""))
