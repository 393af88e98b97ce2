"""From an episode to its vector: raw checker values add up as each objective says, then scale to [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

from controllers.history import Seen
from controllers.observe import lineage
from signatures.records import Failure, Objective


def episode_values(
    history: Sequence[Seen], selected_id: str, verdict: float | None, objectives: Sequence[Objective]
) -> dict[str, float | None]:
    """Scaled value of each objective.

    `verdict` is the judge's number for the selected attempt, None where it could not say. An objective of which
    any attempt in its range was not measured is None.
    """
    chain = lineage(history, selected_id)
    values: dict[str, float | None] = {}
    for objective in objectives:
        if objective.over == "judge":
            raw = verdict
        else:
            raw = _total(objective.name, chain if objective.over == "lineage" else history)
        values[objective.name] = None if raw is None else objective.scaled(raw)
    return values


def unselected_values(
    history: Sequence[Seen], failure: Failure | None, objectives: Sequence[Objective]
) -> dict[str, float | None]:
    """The values of an episode that selected nothing.

    Where nothing failed and nothing was attempted it earned nothing, whatever it says of itself: 0 on every objective,
    also on those of cost, or doing nothing would be the fastest way. Else its values are missing.
    """
    value = 0.0 if not history and failure is None else None
    return {objective.name: value for objective in objectives}


def _total(objective: str, attempts: Sequence[Seen]) -> float | None:
    total = 0.0
    for seen in attempts:
        check = seen.attempt.check(objective)
        if check is None or check.value is None:
            return None
        total += check.value
    return total
