"""Proposers: from reflective records to one better component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from optimizers.evidence.reflection import Reflection
from optimizers.journal import Proposal
from signatures.records import Candidate, Cost, PolicyName


class Proposer(Protocol):
    """Proposes one new text for one component, from observations and checker results, never from a verdict."""

    @property
    def name(self) -> str:
        """For the record: `mined`, or the model's name."""

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        """A proposal, None where the records speak for no change, and what asking cost."""
