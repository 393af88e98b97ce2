"""The loop: decide, attempt, check, record, decide again; then select. The judge comes after, and from outside."""

from __future__ import annotations

from collections.abc import Sequence

from controllers.attempting import Launched, attempt
from controllers.deciding import Turn, decide
from controllers.executor import together
from controllers.progress import Progress
from controllers.selector import select
from controllers.spec import EpisodeSpec, Parts, Rollout


async def run_episode(spec: EpisodeSpec, parts: Parts) -> Rollout:
    """Play one episode to its end and return it with all that was seen.

    Durable at every step: a killed episode goes on where the corpus ends. Raises Outage, StoreError and
    UsageError; a failed attempt or decision ends the episode as censored instead.
    """
    return await play(await Progress.open(spec, parts), parts)


async def play(progress: Progress, parts: Parts) -> Rollout:
    """`run_episode` on progress that is open: where it raises, that says what was spent. Also raises LimitReached."""
    while (turn := await decide(progress, parts)).parents:
        first = len(progress.history)
        if parts.admission is not None:
            await parts.admission.admit(len(turn.parents), progress.budget.spent)
        launches = [
            attempt(progress, parts, parent, turn.steer, index=first + offset, steer_cost=turn.cost_of(offset))
            for offset, parent in enumerate(turn.parents)
        ]
        await record(progress, parts, turn, await together(launches))
        if parts.admission is not None:
            parts.admission.landed(progress.budget.spent)
    return await finish(progress, parts, turn)


async def finish(progress: Progress, parts: Parts, turn: Turn) -> Rollout:
    """Select, and make the episode durable with the decisions that ended it."""
    chosen = None if progress.failure else select(progress.history)
    episode = progress.close(turn.decisions, None if chosen is None else chosen.attempt, parts)
    await parts.corpus.append(*turn.decisions, episode)
    output = None if chosen is None else progress.outputs.get(chosen.attempt.id)
    return Rollout(episode, tuple(progress.history), output)


async def record(progress: Progress, parts: Parts, turn: Turn, launched: Sequence[Launched]) -> None:
    """Make the round durable, bill it in index order, then let the episode see it."""
    attempts = [one.seen.attempt for one in launched]
    blobs = [blob for one in launched for blob in one.blobs]
    await parts.corpus.append(*turn.decisions, *attempts, blobs=blobs)
    absorb(progress, turn, launched)


def absorb(progress: Progress, turn: Turn, launched: Sequence[Launched]) -> None:
    """Bill a round that is durable, in index order, and let the episode see it."""
    progress.decision_ids += [decision.id for decision in turn.decisions]
    progress.round += 1
    for one in launched:
        one.settle()
        progress.history.append(one.seen)
        if one.output is not None:
            progress.outputs[one.seen.attempt.id] = one.output
        if one.state is not None:
            progress.states[one.seen.attempt.id] = one.state
        progress.failure = progress.failure or one.seen.attempt.failure
