"""Whether a search can be paid for at all: looked at before anything is attempted."""

from __future__ import annotations

from optimizers.evaluator import Evaluator
from optimizers.search import SearchPlan
from signatures.errors import UsageError


def require_budget(plan: SearchPlan, evaluator: Evaluator) -> None:
    """Raises UsageError unless the attempts pay for the start on the val tasks and one iteration.

    What tokens, money and time allow is not known before. A pool of no attempts at all beside a record is meant: the
    search is by replay alone, and what the record lacks is set aside.
    """
    if evaluator.replays and evaluator.budget.granted.attempts == 0:
        return
    need = evaluator.cost_of(len(plan.val) + 2 * plan.minibatch)
    left = [amount for amount in (evaluator.budget.left("attempts"), _limit(evaluator)) if amount is not None]
    if left and min(left) < need:
        raise UsageError(
            f"a budget of {min(left):g} attempts is too small: one evaluation and one proposal may take {need}"
        )


def _limit(evaluator: Evaluator) -> float | None:
    return None if evaluator.replays else evaluator.meter.left("attempts")
