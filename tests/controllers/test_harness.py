"""The test runner as the stand-alone program that it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from controllers import harness


def reports(place: Path, tests: str, solution: str = "") -> dict[str, tuple[bool, str]]:
    (place / "tests.py").write_text(tests)
    (place / "solution.py").write_text(solution)
    (place / "harness.py").write_text(Path(harness.__file__).read_text())
    command = [sys.executable, "-s", "harness.py"]
    done = subprocess.run(command, cwd=place, input="word\n", capture_output=True, text=True, check=False, timeout=60)
    found = [json.loads(line.removeprefix("word ")) for line in done.stdout.splitlines() if line.startswith("word ")]
    return {report["name"]: (report["passed"], report["message"]) for report in found}


def test_functions_coroutines_and_cases_are_run(tmp_path: Path) -> None:
    tests = """
import unittest
def test_good(): pass
def test_bad(): assert 1 == 2, "no"
def helper(): raise RuntimeError
async def test_later(): raise KeyError("k")
class Case(unittest.TestCase):
    def test_method(self): self.assertEqual(1, 1)
    def test_sub(self):
        for n in range(3):
            with self.subTest(n=n): self.assertLess(n, 2)
"""
    assert reports(tmp_path, tests) == {
        "test_good": (True, ""),
        "test_bad": (False, "AssertionError: no"),
        "test_later": (False, "KeyError: 'k'"),
        "Case.test_method": (True, ""),
        "Case.test_sub": (False, "AssertionError: 2 not less than 2"),
    }


def test_code_without_tests_is_one_test(tmp_path: Path) -> None:
    assert reports(tmp_path, "assert 1") == {"whole_module": (True, "")}
    assert reports(tmp_path, "assert 0") == {}


def test_exits_and_skips_are_not_passes(tmp_path: Path) -> None:
    tests = "import unittest\ndef test_exit(): raise SystemExit(0)\ndef test_skip(): raise unittest.SkipTest('x')"
    assert reports(tmp_path, tests) == {
        "test_exit": (False, "SystemExit: 0"),
        "test_skip": (False, "skipped: x"),
    }


def test_what_ended_before_a_crash_is_reported(tmp_path: Path) -> None:
    tests = "import os\ndef test_one(): pass\ndef test_two(): os._exit(0)\ndef test_three(): pass"
    assert reports(tmp_path, tests) == {"test_one": (True, "")}


def test_prints_of_the_code_are_no_reports(tmp_path: Path) -> None:
    line = json.dumps({"name": "test_x", "passed": True, "message": ""})
    tests = f"def test_x():\n    print('word {line}')\n    assert 0, 'no'"
    assert reports(tmp_path, tests) == {"test_x": (False, "AssertionError: no")}
