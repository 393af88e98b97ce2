"""Checker of *cheap*: what the attempt cost in money, in tokens or in priced tool calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from signatures.errors import UsageError
from signatures.records import AttemptResult, CheckerResult, Task

__all__ = ["MeterChecker"]


class MeterChecker:
    """Adds up one kind of cost. `usd` and `tokens` (in + out) come from the attempt's cost, `points` from its trace.

    Points: the price of each tool call, failed ones as well, by a table of tool name -> price.
    """

    def __init__(
        self,
        unit: Literal["usd", "tokens", "points"] = "usd",
        *,
        prices: Mapping[str, float] | None = None,
        other_price: float | None = None,
        limit: float | None = None,
    ) -> None:
        """`other_price`: of a tool that the table does not name; None: such a call has no price, so no value."""
        if (unit == "points") == (prices is None and other_price is None):
            raise UsageError("a meter of points needs prices, and only a meter of points has them")
        self._unit: Literal["usd", "tokens", "points"] = unit
        self._prices = dict(prices or {})
        self._other_price = other_price
        self._limit = limit

    @property
    def objective(self) -> str:
        """cheap"""
        return "cheap"

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """The attempt's cost in the meter's unit; no value where it was not measured or a call has no price."""
        value, detail = self._points(result) if self._unit == "points" else self._measured(result)
        return CheckerResult(
            objective=self.objective,
            value=value,
            unit=self._unit,
            passed=None if value is None or self._limit is None else value <= self._limit,
            detail=detail,
        )

    def _measured(self, result: AttemptResult) -> tuple[float | None, str]:
        cost = result.cost
        if self._unit == "usd":
            return cost.usd, "not measured" if cost.usd is None else ""
        if cost.tokens_in is None or cost.tokens_out is None:
            return None, "not measured"
        return float(cost.tokens_in + cost.tokens_out), f"{cost.tokens_in} in, {cost.tokens_out} out"

    def _points(self, result: AttemptResult) -> tuple[float | None, str]:
        calls = Counter(event.name for event in result.trace if event.kind == "tool")
        prices = {name: self._prices.get(name, self._other_price) for name in calls}
        unpriced = sorted(name for name, price in prices.items() if price is None)
        if unpriced:
            return None, f"no price for {', '.join(unpriced)}"
        total = sum(count * (prices[name] or 0.0) for name, count in calls.items())
        return total, ", ".join(f"{count} x {name}" for name, count in sorted(calls.items()))
