"""The contract suites run on the shipped doubles, and catch workers and checkers that break them."""

from __future__ import annotations

import itertools

import pytest

from controllers import Worker
from controllers.checkers.clock import ClockChecker
from controllers.testing_workers import CheckerContract, WorkerContract
from controllers.workers.scripted import ScriptedWorker
from signatures.records import AttemptContext, AttemptResult, CheckerResult, Cost, Task, TraceEvent

TASK = Task(digest="d", benchmark="b", prompt="p")


class TestScripted(WorkerContract):
    @pytest.fixture
    def worker(self) -> Worker:
        return ScriptedWorker()

    @pytest.fixture
    def task(self) -> Task:
        return TASK


class TestClock(CheckerContract):
    @pytest.fixture
    def checker(self) -> ClockChecker:
        return ClockChecker("turns")

    @pytest.fixture
    def task(self) -> Task:
        return TASK

    @pytest.fixture
    def result(self) -> AttemptResult:
        return AttemptResult(output="x", cost=Cost(turns=3))


async def test_a_worker_that_ignores_its_limit_is_caught() -> None:
    def endless(task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        return AttemptResult(output="x", cost=Cost(turns=9))

    with pytest.raises(AssertionError):
        await WorkerContract().test_the_turns_limit_is_kept(ScriptedWorker(endless), TASK)


async def test_a_worker_whose_attempts_mix_is_caught() -> None:
    counter = itertools.count()

    def mixing(task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        return AttemptResult(output=str(next(counter)))

    with pytest.raises(AssertionError):
        await WorkerContract().test_attempts_at_once_do_not_mix(ScriptedWorker(mixing), TASK)


async def test_a_trace_out_of_order_is_caught() -> None:
    def backwards(task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        return AttemptResult(output="", trace=tuple(TraceEvent(turn=t, kind="message") for t in (1, 0)))

    with pytest.raises(AssertionError):
        await WorkerContract().test_an_attempt_gives_a_whole_result(ScriptedWorker(backwards), TASK)


async def test_a_checker_of_another_objective_is_caught() -> None:
    class Confused(ClockChecker):
        async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
            return CheckerResult(objective="secure", value=0.0, unit="s")

    with pytest.raises(AssertionError):
        await CheckerContract().test_it_reports_on_its_objective(Confused(), TASK, AttemptResult(output=""))
