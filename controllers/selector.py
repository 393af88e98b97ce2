"""Keep-best: picks the final attempt from checker results alone, never from the judge."""

from __future__ import annotations

import math
from collections.abc import Sequence

from controllers.history import Seen
from signatures.records import Attempt


def select(history: Sequence[Seen]) -> Seen | None:
    """The best attempt: most correct by the checkers, then most checkers passed, then cheaper, then earlier.

    Attempts that infrastructure ended are left out; None where nothing is left.
    """
    scored = [seen for seen in history if seen.attempt.outcome != "infra_error"]
    return min(scored, key=lambda seen: rank(seen.attempt), default=None)


def rank(attempt: Attempt) -> tuple[float, float, float, float, int]:
    """What `select` compares, the smallest first; the last entry, the attempt's place, breaks ties."""
    correct = attempt.check("correct")
    value = -math.inf if correct is None or correct.value is None else correct.value
    passed = sum(1 for check in attempt.checks if check.passed)
    usd, turns = attempt.cost.usd, attempt.cost.turns
    return (
        -value,
        -passed,
        math.inf if usd is None else usd,
        math.inf if turns is None else turns,
        attempt.index,
    )
