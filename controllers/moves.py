"""Moves: what may happen next in an episode, and which attempts a drawn action means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from controllers.history import Seen
from controllers.selector import select

STOP: Final = ("continue", "done")
MAX_FANOUT: Final = 4


class Move(NamedTuple):
    """`parents` has one entry per attempt to launch: the attempt to go on from, or None for a fresh one."""

    kind: str
    parents: tuple[Seen | None, ...] = ()


def legal_topology(history: Sequence[Seen], attempts_left: int) -> tuple[str, ...]:
    """The topology actions that the attempts made and the attempts left allow.

    `refine_last` goes on from the latest attempt, `refine_best` from the selector's choice where that is
    another one, `fanout_n` launches n fresh ones. Infrastructure failures cannot be refined.
    """
    fanouts = tuple(f"fanout_{n}" for n in range(1, min(MAX_FANOUT, attempts_left) + 1))
    usable = _usable(history)
    if not usable or not fanouts:
        return fanouts
    best = select(usable)
    refines = ("refine_last",) if best is usable[-1] else ("refine_last", "refine_best")
    return refines + fanouts


def move_of(action: str, history: Sequence[Seen]) -> Move:
    """The move that a topology action stands for."""
    if action.startswith("fanout_"):
        return Move("fanout", (None,) * int(action.removeprefix("fanout_")))
    usable = _usable(history)
    return Move("refine", (usable[-1] if action == "refine_last" else select(usable),))


def _usable(history: Sequence[Seen]) -> list[Seen]:
    return [seen for seen in history if seen.attempt.outcome != "infra_error"]
