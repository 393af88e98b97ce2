"""Telecom's checkers: what the phone can tell of the ticket, and what the tool record shows of the conduct.

They would run in production as they are: none knows the task's assertions.
"""

from __future__ import annotations

from controllers.worlds.telecom import TelecomWorld
from controllers.worlds.telecom_conduct import MEASURES, Measure
from signatures.errors import UsageError
from signatures.records import AttemptResult, CheckerResult, Task

__all__ = ["TelecomChecker"]

OBJECTIVES = ("correct", *MEASURES)


class TelecomChecker:
    """The checker of one objective. Raises UsageError for an objective that telecom does not measure.

    `correct` is the share of steps to the ticket's own goal that the phone shows: signal, mobile data, the goal.
    `fast`, `secure`, `cheap` and `clean` are sums over the tool record and have no pass mark.
    """

    def __init__(self, objective: str, world: TelecomWorld) -> None:
        if objective not in OBJECTIVES:
            raise UsageError(f"telecom has no objective {objective!r}; it has {', '.join(OBJECTIVES)}")
        self.objective = objective
        self._world = world

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """Measure one attempt; `value=None` where `correct` finds no state to look at."""
        measure = MEASURES.get(self.objective)
        return self._symptom(task, result) if measure is None else self._conduct(measure, task, result)

    def _symptom(self, task: Task, result: AttemptResult) -> CheckerResult:
        try:
            found = self._world.symptom(task.prompt, result.output if result.state is None else result.state)
        except UsageError as error:
            return CheckerResult(objective=self.objective, value=None, unit="share", detail=str(error))
        detail = ", ".join(f"{name}: {'yes' if reached else 'no'}" for name, reached in found.rungs.items())
        return CheckerResult(
            objective=self.objective, value=found.value, unit="share", passed=found.gone, detail=detail
        )

    def _conduct(self, measure: Measure, task: Task, result: AttemptResult) -> CheckerResult:
        counted = {item: amount for item, amount in measure.amounts(task, result.trace).items() if amount}
        detail = ", ".join(f"{item}: {amount:g}" for item, amount in counted.items())
        total = float(sum(counted.values()))
        return CheckerResult(objective=self.objective, value=total, unit=measure.unit, detail=detail)
