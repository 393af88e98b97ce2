"""The sampler: the one place where an action is drawn, with a floor, a seed and a known propensity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from signatures.errors import UsageError


class Draw(NamedTuple):
    """An action, and the probability of each legal one in the draw."""

    action: str
    propensity: float
    probabilities: dict[str, float]


def distribution(weights: Mapping[str, float], legal: Sequence[str], *, floor: float = 0.0) -> dict[str, float]:
    """`weights` over the legal actions: normalised, uniform where none has weight, then mixed with the floor.

    Every legal action gets at least `floor`. Raises UsageError for a negative or non-finite weight, a legal set
    that is empty or names an action twice, or a floor that the number of actions cannot carry.
    """
    if not legal:
        raise UsageError("no legal action to draw from")
    if len(set(legal)) != len(legal):
        raise UsageError(f"a legal action is named twice: {', '.join(legal)}")
    if not 0 <= floor * len(legal) <= 1:
        raise UsageError(f"a floor of {floor:g} cannot hold for {len(legal)} actions")
    if any(not math.isfinite(w) or w < 0 for w in weights.values()):
        raise UsageError(f"weights must be finite and not negative: {dict(weights)}")
    kept = [weights.get(action, 0.0) for action in legal]
    largest = max(kept)
    scaled = [w / largest for w in kept] if largest > 0 else [1.0] * len(legal)
    total = math.fsum(scaled)
    share = [w / total for w in scaled]
    free = 1 - floor * len(legal)
    return {action: floor + free * p for action, p in zip(legal, share, strict=True)}


def draw(weights: Mapping[str, float], legal: Sequence[str], *, seed: int, floor: float = 0.0) -> Draw:
    """Draw one legal action by inverting the distribution at `seed` / 2**63: a function of its arguments."""
    probabilities = distribution(weights, legal, floor=floor)
    point = (seed % 2**63) / 2**63
    action = next(reversed([a for a, p in probabilities.items() if p > 0]))
    reached = 0.0
    for name, probability in probabilities.items():
        reached += probability
        if point < reached and probability > 0:
            action = name
            break
    return Draw(action, min(1.0, probabilities[action]), probabilities)
