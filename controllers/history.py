"""What is known of the attempts so far: each attempt beside its trace."""

from __future__ import annotations

from typing import NamedTuple

from signatures.records import Attempt, CheckerResult, Observation, TraceEvent


class Seen(NamedTuple):
    """One attempt as policies, steers and reflection may see it: its record and its whole trace."""

    attempt: Attempt
    trace: tuple[TraceEvent, ...]

    def observations(self) -> tuple[Observation, ...]:
        """Every trace event and every checker result, as observations, in the order they happened."""
        sources: tuple[TraceEvent | CheckerResult, ...] = (*self.trace, *self.attempt.checks)
        return tuple(Observation(attempt_id=self.attempt.id, source=source) for source in sources)
