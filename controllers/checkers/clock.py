"""Checker of *fast*: wall seconds, or turns where the worker is simulated."""

from __future__ import annotations

from typing import Literal

from signatures.records import AttemptResult, CheckerResult, Task

__all__ = ["ClockChecker"]


class ClockChecker:
    """Reads how long the attempt took from its cost. What was not measured has no value."""

    def __init__(self, unit: Literal["s", "turns"] = "s", *, limit: float | None = None) -> None:
        """`limit`: the attempt passes where it took at most that many units."""
        self._unit: Literal["s", "turns"] = unit
        self._limit = limit

    @property
    def objective(self) -> str:
        """fast"""
        return "fast"

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """The attempt's wall seconds or turns."""
        value = result.cost.wall_s if self._unit == "s" else result.cost.turns
        return CheckerResult(
            objective=self.objective,
            value=None if value is None else float(value),
            unit=self._unit,
            passed=None if value is None or self._limit is None else value <= self._limit,
            detail="not measured" if value is None else "",
            timed=self._unit == "s",
        )
