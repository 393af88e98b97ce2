"""How long an attempt took."""

from __future__ import annotations

import pytest

from controllers.checkers.clock import ClockChecker
from controllers.testing_workers import CheckerContract
from signatures.records import AttemptResult, Cost, Task

TASK = Task(digest="d", benchmark="b", prompt="p")
RESULT = AttemptResult(output="x", cost=Cost(turns=3, wall_s=1.5))


class TestContract(CheckerContract):
    @pytest.fixture(params=["s", "turns"])
    def checker(self, request: pytest.FixtureRequest) -> ClockChecker:
        return ClockChecker(request.param, limit=2)

    @pytest.fixture
    def task(self) -> Task:
        return TASK

    @pytest.fixture
    def result(self) -> AttemptResult:
        return RESULT


async def test_seconds_come_from_a_clock_and_turns_do_not() -> None:
    seconds = await ClockChecker("s", limit=2).check(TASK, RESULT)
    assert (seconds.value, seconds.unit, seconds.passed, seconds.timed) == (1.5, "s", True, True)
    turns = await ClockChecker("turns", limit=2).check(TASK, RESULT)
    assert (turns.value, turns.unit, turns.passed, turns.timed) == (3.0, "turns", False, False)


async def test_what_was_not_measured_has_no_value() -> None:
    found = await ClockChecker("turns", limit=2).check(TASK, AttemptResult(output="x"))
    assert (found.value, found.passed, found.detail) == (None, None, "not measured")


async def test_without_a_limit_nothing_passes_or_fails() -> None:
    assert (await ClockChecker().check(TASK, RESULT)).passed is None
    exactly = await ClockChecker("turns", limit=3).check(TASK, RESULT)
    assert exactly.passed is True
