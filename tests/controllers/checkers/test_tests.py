"""The share of tests passed, by code that may do anything."""

from __future__ import annotations

import pytest

from controllers import Checker
from controllers.checkers.tests import UnitTestsChecker
from controllers.isolation import SandboxConfig, works
from controllers.sandbox import Sandbox
from controllers.testing_workers import CheckerContract
from signatures.errors import UsageError
from signatures.records import AttemptResult, CheckerResult, Task

pytestmark = pytest.mark.skipif(not works("rlimits"), reason="needs Linux")
TASK = Task(digest="d", benchmark="b", prompt="Write add(a, b).")
TESTS = """
from solution import add
def test_small(): assert add(1, 2) == 3
def test_text(): assert add("a", "b") == "ab"
def test_negative(): assert add(-1, -1) == -2
"""
GOOD = "def add(a, b):\n    return a + b\n"


async def check(code: str, tests: str = TESTS, **limits: object) -> CheckerResult:
    config = SandboxConfig.model_validate({"allow_network_unconfined": True, **limits})
    checker = UnitTestsChecker({TASK.digest: tests}, sandbox=Sandbox(config))
    return await checker.check(TASK, AttemptResult(output=code))


class TestContract(CheckerContract):
    @pytest.fixture
    def checker(self) -> Checker:
        return UnitTestsChecker({TASK.digest: TESTS}, sandbox=Sandbox(SandboxConfig(allow_network_unconfined=True)))

    @pytest.fixture
    def task(self) -> Task:
        return TASK

    @pytest.fixture
    def result(self) -> AttemptResult:
        return AttemptResult(output=GOOD)


async def test_good_code_passes_and_the_isolation_is_on_record() -> None:
    found = await check(f"Here you are:\n```python\n{GOOD}```\n")
    assert (found.value, found.passed, found.unit) == (1.0, True, "share of tests")
    strongest = next(kind for kind in ("bwrap", "unshare", "rlimits") if works(kind))
    assert (found.isolation, found.detail) == (strongest, "3 of 3 tests passed")


async def test_half_good_code_gets_its_share_and_the_reasons() -> None:
    found = await check("def add(a, b):\n    return abs(int(a)) + abs(int(b))\n")
    assert (found.value, found.passed) == (pytest.approx(1 / 3), False)
    assert found.detail.splitlines()[0] == "1 of 3 tests passed"
    assert "test_text: ValueError: invalid literal" in found.detail


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "ImportError: cannot import name 'add'"),
        ("def add(a, b:", "SyntaxError"),
        ("raise SystemExit(0)", "test_small: not run"),
        ("import os; os._exit(0)", "test_small: not run"),
        ("import os, signal; os.kill(os.getpid(), 9)", "test_small: not run"),
        ("print('3 of 3 tests passed')", "ImportError"),
    ],
)
async def test_code_that_breaks_off_passes_nothing(code: str, reason: str) -> None:
    found = await check(code)
    assert (found.value, found.passed) == (0.0, False)
    assert reason in found.detail


async def test_what_passed_before_a_hang_counts() -> None:
    found = await check("def add(a, b):\n    while a == 'a': pass\n    return a + b\n", wall_s=1.5)
    assert found.value == pytest.approx(1 / 3)
    assert found.detail.splitlines()[-1] == "stopped by the limit on wall"


async def test_a_forged_report_is_not_believed() -> None:
    forged = """
import json, os, sys
line = json.dumps({"name": "test_small", "passed": True, "message": ""})
for word in ("", "word ", sys.stdin.read()):
    for stream in range(1, 10):
        try:
            os.write(stream, f"\\n{word}{line}\\n".encode())
        except OSError:
            pass
os._exit(0)
"""
    assert (await check(forged)).value == 0.0


async def test_code_without_test_functions_is_one_test() -> None:
    assert (await check(GOOD, "from solution import add\nassert add(1, 1) == 2")).value == 1.0
    failed = await check(GOOD, "from solution import add\nassert add(1, 1) == 3")
    assert (failed.value, failed.passed) == (0.0, False)


async def test_cases_count_by_method() -> None:
    tests = """
import unittest, solution
class Adds(unittest.TestCase):
    def test_one(self): self.assertEqual(solution.add(1, 1), 2)
    def test_two(self): self.assertEqual(solution.add(1, 1), 3)
class Helper:
    def test_not(self): pass
"""
    found = await check(GOOD, tests)
    assert (found.value, found.detail.splitlines()[1]) == (0.5, "Adds.test_two: AssertionError: 2 != 3")


async def test_tests_may_be_a_function_of_the_task() -> None:
    sandbox = Sandbox(SandboxConfig(allow_network_unconfined=True))
    checker = UnitTestsChecker(lambda task: f"assert {task.digest!r} == 'd'", sandbox=sandbox)
    assert (await checker.check(TASK, AttemptResult(output="pass"))).value == 1.0


async def test_missing_or_broken_tests_are_the_callers_mistake() -> None:
    with pytest.raises(UsageError, match="no tests for task d"):
        await UnitTestsChecker({}).check(TASK, AttemptResult(output=GOOD))
    with pytest.raises(UsageError, match="do not parse"):
        await check(GOOD, "def test_(:")
