"""From a recording to records, blobs and verdicts, with ids that are functions of content: twice is once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, NamedTuple

from pydantic import ValidationError

from controllers import Corpus
from controllers.attempting import trace_bytes
from experiments.importing.messages import turns_of
from experiments.importing.recording import Drawn, Recording, Rollout, Score
from judges.records import Verdict
from optimizers.collect.collecting import COLLECT
from signatures.digest import canonical_json, digest_bytes, digest_of, seed_of
from signatures.errors import StoreError
from signatures.records import Amounts, Attempt, Cost, Decision, Episode, Failure, Task

JUDGE: Final = "imported@1"
"""The judge of imported verdicts; that of a source's further scores has the score's name behind it."""
DRAWN: Final = "imported"
"""The condition of an episode whose decisions were recorded. Others are trees, as a collection plan grows them."""


class Imported(NamedTuple):
    """One recording as it is stored."""

    task: Task
    episode: Episode
    attempts: tuple[Attempt, ...]
    decisions: tuple[Decision, ...]
    blobs: tuple[bytes, ...]
    verdicts: tuple[Verdict, ...]


def imported(recording: Recording) -> Imported:
    """The recording with ids, on the search split."""
    recording = recording.encodable()
    task_blob, task = _task(recording)
    worker = recording.worker
    scoreless = [{**one.model_dump(mode="json"), "scores": None} for one in recording.rollouts]
    id = digest_of("imported episode", {**recording.model_dump(mode="json"), "rollouts": scoreless})
    drawn = tuple(_decision(id, one) for one in recording.decisions if one.propensity is not None)
    built = list(_attempts(id, task, recording))
    attempts = tuple(attempt for attempt, _ in built)
    selected = _selected(recording, attempts)
    episode = Episode(
        id=id,
        condition=DRAWN if recording.decisions else f"{COLLECT}{_roots(recording)}x{_depth(recording)}",
        seed=seed_of(id),
        split="search",
        benchmark=recording.benchmark,
        task_digest=task.digest,
        worker=worker,
        decision_ids=tuple(one.id for one in drawn),
        attempt_ids=tuple(one.id for one in attempts),
        selected_id=None if selected is None else selected.id,
        failure=attempts[-1].failure if selected is None else None,
        granted=recording.granted,
        spent=_spent(attempts),
    )
    blobs = {task_blob, *(blob for _, of_one in built for blob in of_one)}
    verdicts = tuple(
        _verdict(episode, attempt, score)
        for attempt, rollout in zip(attempts, recording.rollouts, strict=True)
        for score in rollout.scores
        if attempt.failure is None
    )
    return Imported(task, episode, attempts, drawn, tuple(sorted(blobs)), verdicts)


async def task_of(corpus: Corpus, digest: str) -> Task:
    """An imported task: its digest names the blob that holds it. Raises StoreError."""
    try:
        return _parsed(await corpus.blob(digest))
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise StoreError(f"blob {digest} is no imported task") from error


def _parsed(blob: bytes) -> Task:
    held = json.loads(blob)
    return Task(digest=digest_bytes(blob), benchmark=held["benchmark"], prompt=held["prompt"])


def _task(recording: Recording) -> tuple[bytes, Task]:
    held = {"benchmark": recording.benchmark, "key": recording.key, "prompt": recording.prompt}
    blob = canonical_json(held).encode()
    return blob, _parsed(blob)


def _attempts(episode_id: str, task: Task, recording: Recording) -> Iterator[tuple[Attempt, list[bytes]]]:
    made: list[Attempt] = []
    for index, rollout in enumerate(recording.rollouts):
        parent = None if rollout.parent is None else made[rollout.parent]
        trace = trace_bytes(rollout.trace) if rollout.trace else None
        texts = [None if text is None else text.encode() for text in (rollout.output, rollout.state)]
        output, state, traced = (None if data is None else digest_bytes(data) for data in (*texts, trace))
        made.append(
            Attempt(
                id=digest_of("imported attempt", episode_id, index),
                episode_id=episode_id,
                round=index if rollout.round is None else rollout.round,
                index=index,
                parent_id=None if parent is None else parent.id,
                start_digest=None if parent is None else parent.state_digest,
                task_digest=task.digest,
                benchmark=task.benchmark,
                worker=recording.worker,
                # two runs number their trials alike, and replay takes attempts of one number for the same one
                repeat=seed_of(episode_id) >> 11,
                steer=rollout.steer,
                output_digest=output,
                state_digest=state,
                trace_digest=traced,
                checks=rollout.checks,
                outcome=rollout.outcome,
                failure=_failure(rollout),
                cost=_cost(rollout),
            )
        )
        yield made[-1], [data for data in (*texts, trace) if data is not None]


def _failure(rollout: Rollout) -> Failure | None:
    if rollout.failure is None:
        return None
    return Failure(error="WorkerError", message=rollout.failure, where="the recorded run")


def _cost(rollout: Rollout) -> Cost:
    """What the source measured, and the turns, which are counted where there is a trace."""
    if rollout.cost.turns is not None or not rollout.trace:
        return rollout.cost
    return rollout.cost.model_copy(update={"turns": turns_of(rollout.trace)})


def _spent(attempts: tuple[Attempt, ...]) -> Amounts:
    total = Cost()
    for attempt in attempts:
        total = total.plus(attempt.cost)
    known = [part for part in (total.tokens_in, total.tokens_out) if part is not None]
    tokens = sum(known) if known else None
    return Amounts(attempts=len(attempts), turns=total.turns, tokens=tokens, usd=total.usd, wall_s=total.wall_s)


def _selected(recording: Recording, attempts: tuple[Attempt, ...]) -> Attempt | None:
    """The one that the source selected, else the last one that infrastructure did not end."""
    if recording.selected is not None:
        return attempts[recording.selected]
    return next((one for one in reversed(attempts) if one.failure is None), None)


def _roots(recording: Recording) -> int:
    return sum(one.parent is None for one in recording.rollouts) or 1


def _depth(recording: Recording) -> int:
    """Attempts in the longest lineage that there could have been: an early success must not look like a short plan."""
    depths: list[int] = []
    for rollout in recording.rollouts:
        depths.append(1 + (0 if rollout.parent is None else depths[rollout.parent]))
    if max(depths) > 1:
        return max(*depths, recording.granted.attempts or 0)
    return recording.granted.attempts or 1


def _decision(episode_id: str, drawn: Drawn) -> Decision:
    assert drawn.propensity is not None
    fields = drawn.model_dump(exclude={"schema_version"})
    return Decision(id=digest_of("imported decision", episode_id, drawn.step), episode_id=episode_id, **fields)


def _verdict(episode: Episode, attempt: Attempt, score: Score) -> Verdict:
    judge = f"{JUDGE}:{score.name}" if score.name else JUDGE
    return Verdict(
        id=digest_of(episode.id, attempt.id, judge),
        episode_id=episode.id,
        attempt_id=attempt.id,
        task_digest=attempt.task_digest,
        benchmark=attempt.benchmark,
        split=episode.split,
        judge=judge,
        score=score.value,
        reason=score.reason,
        parts=dict(score.parts),
    )
