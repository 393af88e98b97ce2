"""A program of its own: runs test code inside the sandbox and reports each test. Standard library only.

It is started by `controllers.checkers.tests` with `tests.py` beside it. A report line starts with a word that only
the first line of standard input told: code that prints what looks like a report is not believed. Code that searches
this process for the word can still cheat, as can any code that is tested in the process it runs in.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import json
import os
import sys
import unittest
from collections.abc import Callable


class Reporter(unittest.TestResult):
    """Reports every test when it ends, so that what ended before a time limit counts."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self._word = word
        # The tested code's own prints go to standard error.
        self._file = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)

    def stopTest(self, test: unittest.TestCase) -> None:
        """Write one line: the word, then name, passed and message as JSON."""
        super().stopTest(test)
        problems = [text for case, text in self.failures + self.errors if _owner(case) is test]
        problems += ["unexpected success"] * (test in self.unexpectedSuccesses)
        problems += [f"skipped: {why}" for case, why in self.skipped if _owner(case) is test]
        message = problems[-1].strip().splitlines()[-1] if problems else ""
        line = {"name": name_of(test), "passed": not problems, "message": message}
        self._file.write(f"{self._word} {json.dumps(line)}\n")


def name_of(test: unittest.TestCase) -> str:
    """`test_x`, or `Class.test_x` for a method."""
    if isinstance(test, unittest.FunctionTestCase):
        return test.id()
    return ".".join(test.id().split(".")[-2:])


def main() -> None:
    """Import `tests`, run its `test_*` functions in the order written, then its TestCases."""
    reporter = Reporter(sys.stdin.readline().strip())
    tests = importlib.import_module("tests")
    suite = unittest.TestSuite()
    for name, value in vars(tests).items():
        if name.startswith("test_") and inspect.isfunction(value):
            suite.addTest(unittest.FunctionTestCase(_plain(value)))
    suite.addTests(unittest.defaultTestLoader.loadTestsFromModule(tests))
    if suite.countTestCases() == 0:
        suite.addTest(unittest.FunctionTestCase(whole_module))
    suite.run(reporter)


def _owner(case: unittest.TestCase) -> object:
    return getattr(case, "test_case", case)  # a subtest belongs to its test


def _plain(function: Callable[[], object]) -> Callable[[], object]:
    if not inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    def run() -> None:
        asyncio.run(function())

    return run


def whole_module() -> None:
    """Test code without tests of its own is one test: that it could be imported."""


if __name__ == "__main__":
    main()
