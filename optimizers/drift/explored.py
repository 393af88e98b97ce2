"""What exploration costs: how much a production episode says of the same controller without its exploration.

The gate plays without exploration and production with a registered rate, so that production does worse without any
drift. Each episode is weighted by how much likelier the policies alone would have drawn its actions than they were
drawn: 0 where exploration took the episode elsewhere. Weighted by that, the mean over episodes is the mean without
exploration, and the weights' own mean is 1. Source: Precup, Sutton & Singh 2000, Eligibility traces for off-policy
policy evaluation, section 2 (importance sampling of whole episodes).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from controllers.moves import MAX_FANOUT, STOP
from signatures.records import Decision
from signatures.release import Release

_NOTHING: Final = 1e-9
_REFINES: Final = 2
"""Topology actions beside the fan-outs: from the last attempt, from the best."""


def weight_of(decisions: Sequence[Decision], exploration: float) -> float | None:
    """The weight of an episode by its draws, at most `exploration` of each action's chance being exploration's.

    None where some draw left the policy no say, so that what it wanted is not on record.
    """
    weight = 1.0
    for one in decisions:
        rate = min(exploration, *one.probabilities.values())
        left = 1 - rate * len(one.probabilities)
        if left <= _NOTHING:
            return None
        alone = (one.propensity - rate) / left
        weight *= alone / one.propensity if alone > _NOTHING else 0.0
    return weight


def most_weight(release: Release) -> float | None:
    """What no episode's weight exceeds; None where nothing limits its attempts, so that nothing does.

    Fixed by what was registered, before any episode: the bets' stakes depend on it.
    """
    if not release.exploration:
        return 1.0
    attempts = release.granted.attempts  # turns limit none: an attempt may take fewer than it was granted
    if attempts is None:
        return None
    steps = [_most(release.exploration, min(MAX_FANOUT, attempts))]
    for left in range(attempts - 1, 0, -1):  # each round makes at least one attempt
        actions = (len(STOP), _REFINES + min(MAX_FANOUT, left), len(release.steer_legal))
        steps += [_most(release.exploration, n) for n in actions]
    return math.prod(steps)


def _most(rate: float, actions: int) -> float:
    """Of one draw: the policy wants one action alone, and it is drawn."""
    return 1.0 if actions < 2 else 1 / max(rate, 1 - rate * (actions - 1))
