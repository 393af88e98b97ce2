"""What is read off recorded episodes for drift: the state after one fresh attempt, and success by the checkers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from controllers import Corpus
from controllers.history import Seen
from controllers.observe import observe
from experiments import Benchmark
from optimizers.collect.gathering import seen_of
from optimizers.drift.fallen import Success
from optimizers.drift.shifted import State
from optimizers.scoring import episode_values, unselected_values
from signatures.errors import StoreError
from signatures.records import Amounts, Attempt, Episode, Objective

GIVEN: Final = frozenset(("attempts", "depth", "progress", "stalled", "best_passed"))
"""Features that one fresh attempt fixes, or that say what another says."""


async def episodes_of(
    corpus: Corpus, where: Mapping[str, str], *, until: int | None = None
) -> AsyncIterator[tuple[Episode, tuple[Attempt, ...]]]:
    """Episodes with their attempts in order, in order of arrival; one that lacks an attempt is left out."""
    async for episode in corpus.scan(Episode, where, until=until):
        found = [await corpus.get(Attempt, id) for id in episode.attempt_ids]
        attempts = tuple(one for one in found if one is not None)
        if len(attempts) == len(episode.attempt_ids):
            yield episode, attempts


def fresh_of(attempts: Sequence[Attempt]) -> Attempt | None:
    """The attempt that an episode began with; None where it went on from another, was steered, or did not happen.

    Attempts after the first are no use: what made them was that the first had failed.
    """
    first = next((one for one in attempts if one.index == 0), None)
    if first is None or first.parent_id is not None or first.start_digest is not None:
        return None
    return None if first.steer.text or first.outcome == "infra_error" else first


async def state_of(corpus: Corpus, benchmark: Benchmark, attempt: Attempt) -> State | None:
    """What was observed after this one attempt; None where its trace cannot be read.

    Without what the grant says: a release may be granted other amounts than the search was.
    """
    try:
        seen = await seen_of(corpus, attempt)
    except (StoreError, ValueError):  # one damaged trace is one state less, and is counted
        return None
    found = observe((seen,), benchmark, granted=Amounts(), left=Amounts())
    kept = {name: value for name, value in found.items() if name not in GIVEN and not name.startswith("last.")}
    return State(attempt.task_digest, kept)


def success_of(episode: Episode, attempts: Sequence[Attempt], objectives: Sequence[Objective]) -> Success:
    """The checkers' values of an episode on [0, 1]: of `correct` too, which is the judge's elsewhere."""
    history = tuple(Seen(attempt, ()) for attempt in attempts)
    if episode.selected_id is None:
        return Success(episode.task_digest, unselected_values(history, episode.failure, objectives))
    chosen = next((one for one in attempts if one.id == episode.selected_id), None)
    if chosen is None:  # a record that names an attempt of another episode measures nothing
        return Success(episode.task_digest, {objective.name: None for objective in objectives})
    values = episode_values(history, episode.selected_id, None, objectives)
    for objective in objectives:
        if objective.over == "judge":
            check = chosen.check(objective.name)
            values[objective.name] = None if check is None or check.value is None else objective.scaled(check.value)
    return Success(episode.task_digest, values)
