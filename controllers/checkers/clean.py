"""Checker of *clean*: tool calls that were wasted, counted in the trace by fixed rules."""

from __future__ import annotations

from collections.abc import Mapping

from signatures.records import AttemptResult, CheckerResult, Task, TraceEvent

__all__ = ["CleanChecker"]


class CleanChecker:
    """Counts the wasted tool calls of an attempt. A call counts once, by the first rule that fits:

    - *failed*: it came back as failed;
    - *repeated*: an earlier call of the attempt had the same tool and arguments and brought the same text;
    - *undone*: it succeeded, and so does a later call of its inverse with the same arguments. Both count: the pair
      left nothing behind. Inverses are given by the benchmark; a toggle is its own inverse. Each call is undone by
      the nearest later inverse that undoes nothing else.
    """

    def __init__(self, *, inverses: Mapping[str, str] | None = None, limit: int | None = None) -> None:
        """`inverses`: tool -> the tool that undoes it, in both directions; `limit`: passes with at most that many."""
        given = dict(inverses or {})
        self._inverses = {inverse: tool for tool, inverse in given.items()} | given
        self._limit = limit

    @property
    def objective(self) -> str:
        """clean"""
        return "clean"

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """The number of failed, repeated and undone calls; never without a value."""
        calls = [event for event in result.trace if event.kind == "tool"]
        failed = {index for index, call in enumerate(calls) if call.failed}
        repeated = _repeated(calls) - failed
        undone = self._undone(calls, failed) - repeated
        wasted = len(failed) + len(repeated) + len(undone)
        return CheckerResult(
            objective=self.objective,
            value=float(wasted),
            unit="calls",
            passed=None if self._limit is None else wasted <= self._limit,
            detail=f"{len(failed)} failed, {len(repeated)} repeated, {len(undone)} undone of {len(calls)} calls",
        )

    def _undone(self, calls: list[TraceEvent], failed: set[int]) -> set[int]:
        undone: set[int] = set()
        standing: dict[tuple[str, str], list[int]] = {}
        for index, call in enumerate(calls):
            if index in failed or call.name not in self._inverses:
                continue
            waiting = standing.setdefault((self._inverses[call.name], call.arguments), [])
            if waiting:
                undone |= {waiting.pop(), index}
            else:
                standing.setdefault((call.name, call.arguments), []).append(index)
        return undone


def _repeated(calls: list[TraceEvent]) -> set[int]:
    seen: set[tuple[str, str, str]] = set()
    repeated: set[int] = set()
    for index, call in enumerate(calls):
        key = (call.name, call.arguments, call.text)
        if key in seen:
            repeated.add(index)
        seen.add(key)
    return repeated
