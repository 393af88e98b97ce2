"""Checker of *correct* for HumanEval: the examples in the problem's docstring, run on the worker's function."""

from __future__ import annotations

from collections.abc import Mapping

from controllers.checkers.tests import UnitTestsChecker
from controllers.sandbox import Sandbox
from controllers.worlds.humaneval import Problem, program_of, visible_tests
from signatures.errors import UsageError
from signatures.records import AttemptResult, CheckerResult, Task

__all__ = ["HumanEvalChecker"]


class HumanEvalChecker:
    """The share of examples that hold; of a docstring without any, whether the code runs and defines the function.

    It knows what the prompt shows, and no hidden test.
    """

    def __init__(self, problems: Mapping[str, Problem], *, sandbox: Sandbox | None = None) -> None:
        """`problems`: by task digest."""
        self._problems = dict(problems)
        tests = {digest: visible_tests(problem) for digest, problem in self._problems.items()}
        self._checker = UnitTestsChecker(tests, sandbox=sandbox, code_of=str)

    @property
    def objective(self) -> str:
        """correct"""
        return self._checker.objective

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """Run the examples. Raises UsageError for a task that is no problem of HumanEval."""
        problem = self._problems.get(task.digest)
        if problem is None:
            raise UsageError(f"humaneval has no problem {task.digest}")
        program = program_of(problem, result.output)
        return await self._checker.check(task, result.model_copy(update={"output": program}))
