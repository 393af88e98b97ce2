"""Checker of *correct*: the share of given tests that the worker's code passes, run in the sandbox."""

from __future__ import annotations

import ast
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeGuard

from controllers.sandbox import Sandbox, SandboxResult
from controllers.snippets import extract_code
from signatures.errors import UsageError
from signatures.records import AttemptResult, CheckerResult, Task

__all__ = ["UnitTestsChecker"]

HARNESS: Final = Path(__file__).parent.parent / "harness.py"
WHOLE_MODULE: Final = "whole_module"


class UnitTestsChecker:
    """Runs test code that imports the worker's code as the module `solution`.

    Tests are `test_*` functions and `unittest.TestCase` methods; code without any counts as one test. Value: tests
    passed / tests written. A test that was not reported (time limit, crash, flood, import error) is not passed.
    """

    def __init__(
        self,
        tests: Mapping[str, str] | Callable[[Task], str],
        *,
        sandbox: Sandbox | None = None,
        code_of: Callable[[str], str] = extract_code,
    ) -> None:
        """`tests`: test code by task digest, or a function of the task; `code_of`: the code in an output."""
        self._tests = tests
        self._sandbox = sandbox or Sandbox()
        self._code_of = code_of

    @property
    def objective(self) -> str:
        """correct"""
        return "correct"

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """Run the task's tests on the output. Raises UsageError where the task has none or they do not parse."""
        tests = self._tests_of(task)
        names = _names(tests, task)
        word = secrets.token_hex(16)
        files = {"harness.py": HARNESS.read_text(), "tests.py": tests, "solution.py": self._code_of(result.output)}
        run = await self._sandbox.run(files, argv=("harness.py",), stdin=f"{word}\n")
        outcomes = dict.fromkeys(names, "not run") | _reported(run.stdout, word)
        failed = {name: outcomes[name] for name in names if outcomes[name] is not None}
        share = (len(names) - len(failed)) / len(names)
        return CheckerResult(
            objective=self.objective,
            value=share,
            unit="share of tests",
            passed=not failed,
            detail=_detail(len(names), failed, run),
            isolation=run.isolation,
        )

    def _tests_of(self, task: Task) -> str:
        if callable(self._tests):
            return self._tests(task)
        if task.digest not in self._tests:
            raise UsageError(f"no tests for task {task.digest}")
        return self._tests[task.digest]


def _names(tests: str, task: Task) -> list[str]:
    """What the harness must report, counted here, where the worker's code has no say."""
    try:
        body = ast.parse(tests).body
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"the tests of task {task.digest} do not parse: {error}") from error
    names = [node.name for node in body if _is_test(node)]
    for node in body:
        if isinstance(node, ast.ClassDef) and any("TestCase" in ast.unparse(base) for base in node.bases):
            names += [f"{node.name}.{item.name}" for item in node.body if _is_test(item)]
    return list(dict.fromkeys(names)) or [WHOLE_MODULE]


def _is_test(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")


def _reported(stdout: str, word: str) -> dict[str, str | None]:
    """Test name -> None where it passed, else why not. Lines without the word, or cut off, are not reports."""
    found: dict[str, str | None] = {}
    for line in stdout.splitlines():
        if line.startswith(word) and line.endswith("}"):
            report = json.loads(line[len(word) :])
            found[report["name"]] = None if report["passed"] else report["message"]
    return found


def _detail(total: int, failed: Mapping[str, str | None], run: SandboxResult) -> str:
    lines = [f"{total - len(failed)} of {total} tests passed"]
    lines += [f"{name}: {message}" for name, message in failed.items()]
    if run.ended_by != "exit":
        lines.append(f"stopped by the limit on {run.ended_by}")
    elif run.exit_code != 0 and run.stderr.strip():
        lines.append(run.stderr.strip().splitlines()[-1])
    return "\n".join(lines)
