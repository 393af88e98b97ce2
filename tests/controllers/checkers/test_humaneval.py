"""The examples of a docstring as a checker: it needs no data file."""

from __future__ import annotations

import pytest

from controllers import Checker
from controllers.checkers.humaneval import HumanEvalChecker
from controllers.isolation import SandboxConfig, works
from controllers.sandbox import Sandbox
from controllers.testing_workers import CheckerContract
from controllers.worlds.humaneval import problem_of
from signatures.errors import UsageError
from signatures.records import AttemptResult, CheckerResult, Task

pytestmark = pytest.mark.skipif(not works("rlimits"), reason="needs Linux")
PROMPT = '''def double(x):
    """Twice x. double(2) == 4, but double("a") gives "aa".
    >>> double("a")
    'aa'
    >>> double(2)
    4
    """
'''
PROBLEM = problem_of(PROMPT, "double")
BARE = problem_of('def run(x):\n    """Run."""\n', "run")
TASK = Task(digest=PROBLEM.digest, benchmark="humaneval", prompt=PROBLEM.prompt)
CHECKER = HumanEvalChecker(
    {one.digest: one for one in (PROBLEM, BARE)}, sandbox=Sandbox(SandboxConfig(allow_network_unconfined=True, cpu_s=1))
)


class TestContract(CheckerContract):
    @pytest.fixture
    def checker(self) -> Checker:
        return CHECKER

    @pytest.fixture
    def task(self) -> Task:
        return TASK

    @pytest.fixture
    def result(self) -> AttemptResult:
        return AttemptResult(output="def double(x): return x * 2")


async def check(output: str, task: Task = TASK) -> CheckerResult:
    return await CHECKER.check(task, AttemptResult(output=output))


async def test_a_failing_example_is_named_with_both_values() -> None:
    found = await check("Here:\n```python\ndef double(x):\n    return x + x + 0 if x == 2 else object()\n```")
    assert found.value == 0.5 and found.passed is False
    assert "double('a') gave <object object>, expected 'aa'" in found.detail, "no address: it would differ each time"


async def test_a_long_value_is_cut() -> None:
    found = await check("def double(x): return 'y' * 9999")
    assert "yyy..., expected 4" in found.detail and len(found.detail) < 900


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("", "NameError: the code does not define double"),
        ("I cannot.", "SyntaxError"),
        ("def double(x): return y", "NameError: name 'y' is not defined"),
        ("while True: pass", "does not define double"),
        ("def double(x):\n    while True: pass", "not run"),
        ("raise SystemExit", "does not define double"),
    ],
)
async def test_what_does_not_work_fails_and_says_why(output: str, said: str) -> None:
    found = await check(output)
    assert (found.value, found.passed) == (0.0, False) and said in found.detail


async def test_without_examples_a_definition_is_enough() -> None:
    task = TASK.model_copy(update={"digest": BARE.digest})
    assert (await check("def run(x): ...", task)).passed is True
    assert (await check("def walk(x): ...", task)).passed is False


async def test_another_task_is_refused() -> None:
    with pytest.raises(UsageError, match="no problem"):
        await check("", TASK.model_copy(update={"digest": "other"}))
