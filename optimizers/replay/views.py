"""What a policy saw in each state of a log: task, attempts and traces, read back from the corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pydantic import TypeAdapter

from controllers import Corpus
from controllers.history import Seen
from controllers.policies import View
from optimizers.episode_log import EpisodeLog
from optimizers.features import Logged
from signatures.errors import StoreError, UsageError
from signatures.records import Attempt, Episode, Task, TraceEvent

Views = Callable[[int], View]
"""From a state to a view of its task and history; features and legal actions are the state's own."""
_TRACE: TypeAdapter[tuple[TraceEvent, ...]] = TypeAdapter(tuple[TraceEvent, ...])


async def views_of(corpus: Corpus, logged: Logged, tasks: Sequence[Task]) -> Views:
    """The views of a log that was made with `each_round`: what a policy is shown differs from round to round.

    Raises UsageError for a log in which rounds share a state, or a task that `tasks` lacks; StoreError for what the
    corpus does not hold.
    """
    places = _places(logged.log)
    by_digest = {task.digest: task for task in tasks}
    missing = [digest for digest in logged.log.tasks if digest not in by_digest]
    if missing:
        raise UsageError(f"the log has {len(missing)} tasks that are not given, such as {missing[0]}")
    found: dict[int, View] = {}
    histories: dict[int, list[Seen]] = {}
    for state, (n, k) in places.items():
        if n not in histories:
            histories[n] = await _history(corpus, logged.episode_ids[n])
        before = tuple(seen for seen in histories[n] if seen.attempt.round < k)
        found[state] = View(by_digest[logged.log.tasks[logged.log.task_N[n]]], {}, (), before)
    return found.__getitem__


def _places(log: EpisodeLog) -> Mapping[int, tuple[int, int]]:
    """The one episode and round of each state."""
    n_R, k_R = np.nonzero(log.option_N_K >= 0)
    state_R = log.state_L[log.option_N_K[n_R, k_R]]
    if len(np.unique(state_R)) != len(state_R):
        raise UsageError("rounds share states in this log: make it with each_round=True for policies that read traces")
    return {int(s): (int(n), int(k)) for s, n, k in zip(state_R, n_R, k_R, strict=True)}


async def _history(corpus: Corpus, episode_id: str) -> list[Seen]:
    episode = await corpus.get(Episode, episode_id)
    if episode is None:
        raise StoreError(f"the corpus has no episode {episode_id}")
    history: list[Seen] = []
    for id in episode.attempt_ids:
        attempt = await corpus.get(Attempt, id)
        if attempt is None:
            raise StoreError(f"the corpus lacks attempt {id} of episode {episode_id}")
        body = None if attempt.trace_digest is None else await corpus.blob(attempt.trace_digest)
        history.append(Seen(attempt, () if body is None else _TRACE.validate_json(body)))
    return history
