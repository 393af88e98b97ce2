"""What bandit says of any text that is offered as code."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.checkers.security import LONGEST, SecurityChecker
from controllers.testing_workers import CheckerContract
from signatures.records import AttemptResult, CheckerResult, Task

# stevedore says so when bandit loads its tests with an argument that no longer does anything.
pytestmark = pytest.mark.filterwarnings("ignore:The verify_requirements argument:DeprecationWarning")
TASK = Task(digest="d", benchmark="b", prompt="p")
SHELL = "import subprocess\nsubprocess.call(open('x').read(), shell=True)\n"


async def check(code: str, **settings: object) -> CheckerResult:
    return await SecurityChecker(**settings).check(TASK, AttemptResult(output=code))  # type: ignore[arg-type]


class TestContract(CheckerContract):
    @pytest.fixture
    def checker(self) -> SecurityChecker:
        return SecurityChecker()

    @pytest.fixture
    def task(self) -> Task:
        return TASK

    @pytest.fixture
    def result(self) -> AttemptResult:
        return AttemptResult(output=SHELL)


async def test_clean_code_is_clean() -> None:
    found = await check("def add(a, b):\n    return a + b\n")
    assert (found.value, found.passed, found.detail, found.unit) == (0.0, True, "", "weighted issues")


async def test_issues_are_weighted_by_severity_and_named_by_line() -> None:
    found = await check(SHELL)
    assert (found.value, found.passed) == (11.0, False)
    first, second = found.detail.splitlines()
    assert first.startswith("line 1: B404 LOW: ")
    assert second.startswith("line 2: B602 HIGH: ")
    assert (await check("eval(input())")).value == 3.0


async def test_the_worker_cannot_silence_the_scanner() -> None:
    assert (await check("eval(input())  # nosec")).value == 3.0


async def test_fenced_code_is_found() -> None:
    assert (await check(f"Look:\n```python\n{SHELL}```\nDone.")).value == 11.0


async def test_tests_may_be_left_out_and_a_limit_given() -> None:
    assert (await check("assert 1")).value == 0.0
    assert (await check("assert 1", skip=frozenset())).value == 1.0
    assert (await check(SHELL, limit=11.0)).passed is True


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def f(:", "does not parse: invalid syntax (line 1)"),
        ("a\x00b", "does not parse"),
        ("(" * 5000, "does not parse"),
        ("x = " + "+".join("1" * 20000), "does not parse"),
        ("x = " + "-" * 100_000 + "1", "does not parse"),
        ("\ud800 = 1", "does not parse"),
        ("I could not do it, sorry.", "does not parse"),
        (" \n", "no code"),
        ("#" * (LONGEST + 1), "too long"),
    ],
    ids=range(9),
)
async def test_what_cannot_be_scanned_has_no_value(code: str, reason: str) -> None:
    found = await check(code)
    assert (found.value, found.passed) == (None, None)
    assert reason in found.detail


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["import os", "eval(x)", "(", "x=1", "# nosec", "'''"])).map("\n".join)
)
async def test_any_text_is_answered(code: str) -> None:
    found = await check(code)
    assert found.value is not None or found.detail


async def test_scans_at_once_do_not_mix() -> None:
    loud, quiet = SecurityChecker(skip=frozenset()), SecurityChecker(skip=frozenset({"B101"}))
    result = AttemptResult(output="assert 1")
    found = await asyncio.gather(*((loud if n % 2 else quiet).check(TASK, result) for n in range(8)))
    assert [f.value for f in found] == [0.0, 1.0] * 4
