"""What is known of the attempts so far: each attempt beside its trace."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from signatures.records import Attempt, CheckerResult, Observation, TraceEvent


class _Pair(NamedTuple):
    attempt: Attempt
    trace: tuple[TraceEvent, ...]


class Seen(_Pair):
    """One attempt as policies, steers and reflection may see it: its record and its whole trace.

    The three decisions of a turn, and those of later turns, ask for the same observations: they are made once.
    """

    def observations(self) -> tuple[Observation, ...]:
        """Every trace event and every checker result, as observations, in the order they happened."""
        return self._observations

    def observation_ids(self) -> tuple[str, ...]:
        """The ids of `observations()`, in the same order."""
        return self._observation_ids

    @cached_property
    def _observations(self) -> tuple[Observation, ...]:
        sources: tuple[TraceEvent | CheckerResult, ...] = (*self.trace, *self.attempt.checks)
        return tuple(Observation(attempt_id=self.attempt.id, source=source) for source in sources)

    @cached_property
    def _observation_ids(self) -> tuple[str, ...]:
        return tuple(one.id for one in self._observations)
