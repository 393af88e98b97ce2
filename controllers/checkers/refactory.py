"""Checker of *correct* for refactory: the share of the question's visible tests that the program passes."""

from __future__ import annotations

from controllers.worlds.refactory import RefactoryWorld, failures, passed
from signatures.records import AttemptResult, CheckerResult, Task

__all__ = ["RefactoryChecker"]


class RefactoryChecker:
    """Runs all visible tests in one sandbox. The detail has a line for each test that fails."""

    def __init__(self, world: RefactoryWorld) -> None:
        self._world = world

    @property
    def objective(self) -> str:
        """correct"""
        return "correct"

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """Test one output. Raises UsageError for an unknown task."""
        question = self._world.exercise(task.digest).question
        tests = self._world.tests(question)
        report = await self._world.tested(question, self._world.code_of(result.output))
        count = passed(report, tests)
        return CheckerResult(
            objective=self.objective,
            value=count / len(tests),
            unit="share of tests",
            passed=count == len(tests),
            detail="\n".join([f"{count} of {len(tests)} tests passed", *failures(report, tests)]),
            isolation=self._world.isolation,
        )
