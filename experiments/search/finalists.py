"""A look inside: a few dev episodes of each finalist, turn by turn, as observations for the dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from controllers.spec import Rollout
from experiments.events import AttemptSeen, EpisodeTraced
from optimizers.evaluator import Evaluator, Request
from signatures.records import Candidate, Task

SAMPLED: Final = 2
"""Episodes shown per finalist."""


async def traced(
    evaluator: Evaluator, finalists: Mapping[str, Candidate], tasks: Sequence[Task], *, seed: int
) -> list[EpisodeTraced]:
    """Trace events of each finalist's first dev episodes. They were scored before, so nothing is attempted."""
    events: list[EpisodeTraced] = []
    for name, candidate in finalists.items():
        request = Request(candidate, tasks[:SAMPLED], seed=seed, keep_rollouts=True)
        events += [trace_of(name, one.rollout) for one in await evaluator.evaluate(request) if one.rollout is not None]
    return events


def trace_of(name: str, rollout: Rollout) -> EpisodeTraced:
    """One episode as its event: what was observed of each attempt, never a verdict."""
    seen = tuple(
        AttemptSeen(
            attempt_id=one.attempt.id,
            steer=one.attempt.steer.text,
            outcome=one.attempt.outcome,
            events=one.trace,
            checks=one.attempt.checks,
        )
        for one in rollout.history
    )
    return EpisodeTraced(name=name, episode_id=rollout.episode.id, attempts=seen)
