"""Authors: from a strategy program and its losses to a whole new program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from optimizers.evidence.reflection import Reflection
from optimizers.journal import Proposal
from signatures.records import Cost


class Losses(NamedTuple):
    """What an author is shown: observations and checker results, never a verdict."""

    moves: Sequence[Reflection]
    "recorded moves of some tasks, each with what the checkers measured before and after"
    told: Sequence[str] = ()
    "whole episodes and contrasting pairs of them, as text"
    mates: Sequence[str] = ()
    "sources of other programs on the front: what a child may take over"


class Author(Protocol):
    """Writes one program in the language of `controllers/programs/language.py`."""

    @property
    def name(self) -> str:
        """For the record: `grammar`, or the model's name."""

    @property
    def reads(self) -> bool:
        """Whether it is shown episodes as text: they are not told where nobody reads them."""

    async def write(self, parent: str, losses: Losses, *, seed: int) -> tuple[Proposal | None, Cost]:
        """A proposal whose text is the source of another program than `parent`, and what asking cost.

        It states one hypothesis. None where nothing came of it that is in the language.
        """
