"""A judge that is a function: for outputs whose value can be computed, such as a controller's on recorded trees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from judges.records import Judgement
from signatures.records import Task

Valued = Callable[[Task, str], Awaitable[tuple[float | None, str]]]
"""The value of an output on [0, 1], None where it cannot be said, and the reason."""


@dataclass(frozen=True)
class ValuedJudge:
    """Scores an output by `value`. Deterministic: the function is one of task and output alone."""

    value: Valued
    revision: str
    deterministic: bool = True

    async def judge(self, task: Task, output: str) -> Judgement:
        """The function's value. Raises what it raises."""
        score, reason = await self.value(task, output)
        return Judgement(score=score, reason=reason)
