"""The two sides of a gate: saved controllers or control arms, their cut of the budget, and what a search said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controllers.program import controller_of, loads
from experiments.events import FILE, CandidateScored, read_events
from experiments.gate.holdout.config import HoldoutConfig
from experiments.search.confirmed import Confirmed
from experiments.search.stages import arms_of
from experiments.search_config import SearchConfig
from optimizers.gate.holdout_episodes import Contender
from optimizers.setup import Grant
from signatures.errors import UsageError

if TYPE_CHECKING:
    import dspy

CANDIDATES: Final = "candidates"
"""The folder inside a run's that saved controllers lie in."""


def contender_of(
    named: str, config: HoldoutConfig, actions: tuple[str, ...], *, lm: dspy.LM | None, copy: Path | None = None
) -> Contender:
    """The control arm of that name, else the controller saved in that file, or in its `copy`. Raises UsageError."""
    like = SearchConfig(attempts=config.attempts, turns=config.turns, lm=config.lm)
    arms = {arm.name: arm for arm in arms_of(like, actions)}
    if named in arms:
        arm = arms[named]
        return Contender(named, arm.candidate, Grant(arm.attempts, arm.turns_per_attempt, arm.steer_legal))
    path = copy or Path(named)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        there = ", ".join(arms)
        raise UsageError(f"{path}: cannot be read as a controller, and is no control arm ({there})") from error
    try:
        controller = loads(text, lm)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return Contender(Path(named).stem, controller.candidate, Grant(config.attempts, config.turns, actions))


def text_of(contender: Contender, lm: dspy.LM | None) -> str:
    """The contender's controller as it is saved."""
    return controller_of(contender.candidate, lm).dumps() + "\n"


def cut_of(contender: Contender) -> str:
    """The contender's cut of the budget as text: attempts, turns of each, actions that it may draw."""
    grant = contender.grant
    return json.dumps([grant.attempts, grant.turns_per_attempt, *grant.steer_legal])


def searched_value(file: Path, one: Contender, primary: str) -> float | None:
    """What the search that saved the controller in `file` said of a contender on its own split; None: not known.

    Of its control arm of that name, else of the candidate with this digest: where that was replayed first and then
    attempted live, the live value. Raises StoreError.
    """
    log = file.parent.parent / FILE
    if file.parent.name != CANDIDATES or not log.is_file():
        return None
    found: float | None = None
    for event in read_events(log):
        match event.body:
            case CandidateScored(role="baseline", name=one.name, metrics=metrics):
                return metrics.get(f"search/{primary}")
            case CandidateScored(digest=one.candidate.digest, metrics=metrics):
                found = metrics.get(f"search/{primary}", found)
            case Confirmed(digest=one.candidate.digest, values=values) if primary in values:
                live = values[primary].live
                found = found if live is None else live
            case _:
                pass
    return found
