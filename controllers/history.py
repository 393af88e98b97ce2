"""What is known of the attempts so far: each attempt beside its trace."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from controllers.prompts import render
from signatures.records import Attempt, CheckerResult, Observation, TraceEvent


class Shown(NamedTuple):
    """An observation as a prompt shows it."""

    id: str
    line: str


class _Pair(NamedTuple):
    attempt: Attempt
    trace: tuple[TraceEvent, ...]


class Seen(_Pair):
    """One attempt as policies, steers and reflection may see it: its record and its whole trace."""

    def observations(self) -> tuple[Observation, ...]:
        """Every trace event and every checker result, as observations, in the order they happened."""
        sources: tuple[TraceEvent | CheckerResult, ...] = (*self.trace, *self.attempt.checks)
        return tuple(Observation(attempt_id=self.attempt.id, source=source) for source in sources)

    def shown(self) -> tuple[Shown, ...]:
        """`observations()` as prompts show them, rendered once: every later decision of the episode shows them again.

        Raises FirewallBreach as `render` does.
        """
        return self._shown

    @cached_property
    def _shown(self) -> tuple[Shown, ...]:
        observations = self.observations()
        lines = render(observations, last=len(observations))
        return tuple(Shown(one.id, line) for one, line in zip(observations, lines, strict=True))
