"""Admission: whoever pays for many episodes may be asked before each round of one, and may refuse it."""

from __future__ import annotations

from typing import Protocol

from signatures.errors import BudgetExceeded
from signatures.records import Amounts


class LimitReached(BudgetExceeded):
    """A limit around the episode leaves nothing for another round of it; what is recorded stands."""


class Admission(Protocol):
    """Asked before every round of one episode: of those that the corpus holds as well, which cost what they did."""

    async def admit(self, attempts: int, spent: Amounts) -> None:
        """May `attempts` attempts start, in an episode that has spent so much? Raises LimitReached."""

    def landed(self, spent: Amounts) -> None:
        """The round is durable; the episode has now spent so much in all."""
