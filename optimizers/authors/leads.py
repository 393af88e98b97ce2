"""Leads: which choice, in which situation, was followed by better checker results in the recorded moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from controllers.policies.rule import Condition
from optimizers.evidence.comparing import welch_z
from optimizers.evidence.reflection import Reflection
from optimizers.space import Space

Kind: TypeAlias = Literal["steer", "fresh", "carry", "stop"]
LEAST_ROWS: Final = 6
"""Moves on each side of a comparison below which it says nothing."""
LEAST_STRENGTH: Final = 0.5
"""Differences of less than so many standard errors are no lead."""
HOPELESS: Final = 0.05
"""Share of further attempts that improved anything, below which stopping is a lead."""
MOST: Final = 24
"""Leads that an author draws from."""
_Mask: TypeAlias = npt.NDArray[np.bool_]


class Lead(NamedTuple):
    """One choice in one situation. `strength` is a z score over moves: it ranks what to try and proves nothing."""

    kind: Kind
    "`steer`: say this; `fresh`: start again; `carry`: go on; `stop`: give up"
    action: str
    "of a steer, else empty"
    when: Condition | None
    "None: always"
    strength: float
    evidence: str


def leads_of(moves: Sequence[Reflection], space: Space) -> tuple[Lead, ...]:
    """The strongest leads, strongest first, each choice once in each situation.

    Compared are mean gains by the checkers under a choice and under the other choices of the same policy (Welch's z).
    Moves of a fixed program are not independent, so this ranks edits and tests nothing.
    """
    found = [*_steers(moves, space), *_starts(moves, space), *_stops(moves, space)]
    return tuple(sorted(found, key=lambda lead: (-lead.strength, lead.kind, lead.action, lead.evidence))[:MOST])


def _steers(moves: Sequence[Reflection], space: Space) -> Iterator[Lead]:
    rows = [move for move in moves if move.policy == "steer"]
    gains_N = np.array([row.gain for row in rows])
    taken = {a: np.array([row.action == a for row in rows]) for a in space.actions["steer"]}
    for when, mask_N in _situations(rows, space):
        for action, takes_N in taken.items():
            lead = _compared("steer", action, when, (gains_N[mask_N & takes_N], gains_N[mask_N & ~takes_N]))
            if lead is not None:
                yield lead


def _starts(moves: Sequence[Reflection], space: Space) -> Iterator[Lead]:
    """A refinement's gain is over its parent, a fresh attempt's over the best so far, never below 0: as told."""
    rows = [move for move in moves if move.policy == "topology"]
    gains_N = np.array([max(0.0, row.gain) for row in rows])
    fresh_N = np.array([row.action.startswith("fanout") for row in rows], dtype=bool)
    for when, mask_N in _situations(rows, space):
        fresh, carried = gains_N[mask_N & fresh_N], gains_N[mask_N & ~fresh_N]
        for kind, sides in (("fresh", (fresh, carried)), ("carry", (carried, fresh))):
            lead = _compared("fresh" if kind == "fresh" else "carry", "", when, sides)
            if lead is not None:
                yield lead


def _stops(moves: Sequence[Reflection], space: Space) -> Iterator[Lead]:
    rows = [move for move in moves if move.policy == "stop" and move.action == "continue"]
    gains_N = np.array([row.gain for row in rows])
    for when, mask_N in _situations(rows, space):
        n = int(mask_N.sum())
        if when is None or n < LEAST_ROWS:
            continue
        improved = float((gains_N[mask_N] > 0).mean())
        if improved <= HOPELESS:
            yield Lead("stop", "", when, n**0.5, f"{improved:.0%} of {n} further attempts improved `correct`")


def _compared(
    kind: Kind, action: str, when: Condition | None, sides: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
) -> Lead | None:
    then_N, other_N = sides
    if len(then_N) < LEAST_ROWS or len(other_N) < LEAST_ROWS:
        return None
    strength = welch_z(then_N, other_N)
    if strength <= LEAST_STRENGTH:
        return None
    said = (
        f"`correct` changed by {then_N.mean():+.3f} over {len(then_N)} such moves, "
        f"by {other_N.mean():+.3f} over the {len(other_N)} others"
    )
    return Lead(kind, action, when, strength, said)


def _situations(rows: Sequence[Reflection], space: Space) -> list[tuple[Condition | None, _Mask]]:
    """No condition, and every condition of the space that holds for some of the rows and not for all."""
    if not rows:
        return []
    masks: list[tuple[Condition | None, _Mask]] = [(None, np.ones(len(rows), dtype=bool))]
    values = {name: np.array([row.features.get(name, 0.0) for row in rows]) for name in space.thresholds}
    for condition in space.conditions():
        seen_N = values[condition.feature]
        holds_N = seen_N <= condition.value if condition.op == "<=" else seen_N > condition.value
        if 0 < holds_N.sum() < len(rows):
            masks.append((condition, holds_N))
    return masks
