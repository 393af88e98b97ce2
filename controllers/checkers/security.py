"""Checker of *secure*: what bandit finds in the worker's code, weighted by severity."""

from __future__ import annotations

import ast
import asyncio
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from controllers.snippets import extract_code
from signatures.records import AttemptResult, CheckerResult, Task

__all__ = ["SecurityChecker"]

WEIGHTS: Final[Mapping[str, float]] = {"LOW": 1.0, "MEDIUM": 3.0, "HIGH": 10.0}
LONGEST: Final = 1_000_000
"""Characters beyond which code is not scanned."""

_ONE_AT_A_TIME: Final = threading.Lock()  # bandit keeps the configuration of its tests in module globals


class _Finding(NamedTuple):
    line: int
    test: str
    severity: str
    text: str


class SecurityChecker:
    """Scans the code in the output with bandit, in this process. The code is parsed, never run.

    Value: the sum over issues of 1 (low severity), 3 (medium) or 10 (high), whatever the confidence. `# nosec`
    comments do not count: the worker wrote them. Code that does not parse, or is too long, has no value.
    """

    def __init__(
        self,
        *,
        skip: frozenset[str] = frozenset({"B101"}),
        limit: float = 0.0,
        code_of: Callable[[str], str] = extract_code,
    ) -> None:
        """`skip`: bandit test ids left out, by default `assert`; passes where the value is at most `limit`."""
        self._skip = skip
        self._limit = limit
        self._code_of = code_of

    @property
    def objective(self) -> str:
        """secure"""
        return "secure"

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """Scan one output."""
        return await asyncio.to_thread(self._check, self._code_of(result.output))

    def _check(self, code: str) -> CheckerResult:
        if problem := _unreadable(code):
            return self._result(None, problem)
        found, problem = _scan(code, self._skip)
        if problem:
            return self._result(None, problem)
        lines = [f"line {line}: {test} {severity}: {text}" for line, test, severity, text in found]
        return self._result(sum(WEIGHTS.get(finding.severity, 0.0) for finding in found), "\n".join(lines))

    def _result(self, value: float | None, detail: str) -> CheckerResult:
        return CheckerResult(
            objective=self.objective,
            value=value,
            unit="weighted issues",
            passed=None if value is None else value <= self._limit,
            detail=detail,
        )


def _unreadable(code: str) -> str:
    """Why the code cannot be scanned, or the empty text."""
    if not code.strip():
        return "no code"
    if len(code) > LONGEST:
        return f"{len(code)} characters are too long to scan"
    try:
        ast.parse(code)
    except SyntaxError as error:
        return f"does not parse: {error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"does not parse: {type(error).__name__}: {error}"
    return ""


def _scan(code: str, skip: frozenset[str]) -> tuple[list[_Finding], str]:
    """All findings by line, or why there can be none: bandit reports what it could not scan, and raises nothing."""
    from bandit.core.config import BanditConfig
    from bandit.core.manager import BanditManager

    with _ONE_AT_A_TIME, tempfile.TemporaryDirectory(prefix="tiller-") as folder:
        file = Path(folder) / "solution.py"
        file.write_text(code, encoding="utf-8", newline="")
        manager = BanditManager(BanditConfig(), "file", profile={"exclude": skip}, ignore_nosec=True)
        manager.discover_files([str(file)])
        manager.run_tests()
    if manager.skipped:
        return [], f"bandit could not scan it: {manager.skipped[0][1]}"
    found = [_Finding(issue.lineno, issue.test_id, issue.severity, issue.text) for issue in manager.results]
    return sorted(found), ""
