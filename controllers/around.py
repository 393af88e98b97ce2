"""The episode around a decision: what is left, and what is observed, after any number of its attempts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from controllers.history import Seen
from controllers.observe import Observer, observe
from signatures.records import Amounts


class EpisodeAround:
    """Of a live episode. What decisions cost is no part of it, so that it is the same whenever it is asked for."""

    def __init__(
        self, *, granted: Amounts, turns_per_attempt: int | None, steers: tuple[str, ...], observer: Observer
    ) -> None:
        self.steers = steers
        self._granted = granted
        self._each = turns_per_attempt
        self._observer = observer

    def left(self, history: tuple[Seen, ...]) -> Amounts:
        """The grant less what the attempts took."""
        return left_after(history, granted=self._granted, turns_per_attempt=self._each)

    def observed(self, history: tuple[Seen, ...]) -> Mapping[str, float]:
        """As `observe` says, with this budget."""
        return observe(history, self._observer, granted=self._granted, left=self.left(history))


def left_after(history: Sequence[Seen], *, granted: Amounts, turns_per_attempt: int | None) -> Amounts:
    """Attempts, turns and money that these attempts leave of a grant; attempts as far as the turns left go."""
    turns = None if granted.turns is None else max(0, granted.turns - sum(s.attempt.cost.turns or 0 for s in history))
    paid = math.fsum((s.attempt.cost.usd or 0.0) + (s.attempt.steer_cost.usd or 0.0) for s in history)
    by_turns = None if turns is None else math.ceil(turns / turns_per_attempt) if turns_per_attempt else int(turns > 0)
    made = None if granted.attempts is None else granted.attempts - len(history)
    attempts = [n for n in (made, by_turns) if n is not None]
    return Amounts(
        attempts=max(0, min(attempts)) if attempts else None,
        turns=turns,
        usd=None if granted.usd is None else max(0.0, granted.usd - paid),
    )
