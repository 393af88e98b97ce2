"""The HumanEval judge: the problem's hidden unit tests, run on the function in the selected output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controllers.checkers.tests import UnitTestsChecker
from controllers.sandbox import Sandbox
from controllers.worlds.humaneval import Problem, program_of
from judges.records import Judgement
from signatures.digest import digest_of
from signatures.records import AttemptResult, Task

HIDDEN: Final = "test_hidden"


class HumanEvalJudge:
    """All hidden tests of the problem hold: 1, else 0. Code that does not run, or not in time, scores 0.

    As in HumanEval itself, the first assertion that fails ends a problem's tests, so there is no partial credit.
    """

    def __init__(
        self, problems: Mapping[str, Problem], hidden: Mapping[str, str], *, sandbox: Sandbox | None = None
    ) -> None:
        """`hidden`: task digest -> test code that defines `check(candidate)`, of every problem."""
        self._problems = dict(problems)
        tests = {digest: _tests(self._problems[digest], code) for digest, code in hidden.items()}
        self._checker = UnitTestsChecker(tests, sandbox=sandbox, code_of=str)
        self._known = frozenset(tests)
        self._revision = f"HumanEval hidden tests, {digest_of(tests)}"

    @property
    def revision(self) -> str:
        """The digest of all hidden tests."""
        return self._revision

    @property
    def deterministic(self) -> bool:
        """Yes, as far as the judged code is: its hash seed is fixed."""
        return True

    async def judge(self, task: Task, output: str) -> Judgement:
        """Run the hidden tests; no score for a task that it does not know. Raises UsageError without a sandbox."""
        if task.digest not in self._known:
            return Judgement(score=None, reason="no hidden tests are known for this task")
        program = program_of(self._problems[task.digest], output)
        found = await self._checker.check(task, AttemptResult(output=program))
        passed = found.passed is True
        return Judgement(score=float(passed), reason=found.detail, parts={"hidden tests": passed})


def _tests(problem: Problem, code: str) -> str:
    """The hidden tests use helpers that the prompt gives, and one calls the function by its name."""
    name = problem.entry
    run = f"def {HIDDEN}():\n    global {name}\n    from solution import {name}\n\n    check({name})\n"
    return f"{problem.above}\n\n{code}\n\n{run}"
