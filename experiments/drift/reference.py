"""What a controller was learned on, in numbers: the part of a release that production is compared with."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from controllers.corpus import SqliteCorpus
from experiments import Benchmark
from experiments.config import merge
from experiments.drift.states import episodes_of, fresh_of, state_of, success_of
from experiments.gate.holdout.config import HoldoutConfig
from experiments.gate.holdout.register import CONFIG
from experiments.gate.holdout.run import CORPUS
from optimizers.drift.binned import binned_of
from optimizers.drift.shifted import State
from signatures.errors import UsageError
from signatures.records import Attempt, Episode, WorkerFingerprint
from signatures.release import Binned, Level, Reference

CANDIDATE: Final = "candidate"
"""The arm of a gate."""


class Like(NamedTuple):
    """Which recorded attempts were made as production's will be; None: not compared."""

    worker: WorkerFingerprint | None = None
    turns_per_attempt: int | None = None


ANY: Final = Like()


async def reference_from(
    corpus: SqliteCorpus, benchmark: Benchmark, gate_folder: Path | None, candidate: str, *, like: Like = ANY
) -> Reference | None:
    """Features over fresh attempts of the corpus' search split; success from the gate's own episodes, by checkers.

    `candidate`: its digest. One state per task, the first recorded: repeats would pass for tasks. Only states of one
    worker and one grant of turns count: those of `like`, else of the gate, else of most episodes of the search. None
    where neither features nor success were recorded. Raises UsageError where the gate played another candidate;
    StoreError.
    """
    success, gate = ({}, ANY) if gate_folder is None else await _gated(gate_folder, benchmark, candidate)
    wanted = Like(like.worker or gate.worker, like.turns_per_attempt or gate.turns_per_attempt)
    features = await _features(corpus, benchmark, wanted)
    return Reference(features=features, success=success) if features or success else None


async def _features(corpus: SqliteCorpus, benchmark: Benchmark, like: Like) -> dict[str, Binned]:
    fresh: list[tuple[Episode, Attempt]] = []
    async for episode in corpus.scan(Episode, {"benchmark": benchmark.id, "split": "search"}):
        begun = await corpus.get(Attempt, episode.attempt_ids[0]) if episode.attempt_ids else None
        first = None if begun is None else fresh_of((begun,))
        if first is not None:
            fresh.append((episode, first))
    if not fresh:
        return {}
    worker = like.worker or _most([episode.worker for episode, _ in fresh])
    turns = like.turns_per_attempt or _most_turns([episode for episode, _ in fresh])
    states: dict[str, State] = {}
    for episode, first in fresh:
        same = episode.worker == worker and _turns(episode) in (None, turns)
        if same and first.task_digest not in states:
            state = await state_of(corpus, benchmark, first)
            if state is not None:
                states[state.task] = state
    names = sorted({name for state in states.values() for name in state.features})
    return {name: binned_of([state.features.get(name) for state in states.values()]) for name in names}


async def _gated(folder: Path, benchmark: Benchmark, candidate: str) -> tuple[dict[str, Level], Like]:
    """What the checkers said at the gate, and how its episodes were made; nothing where nothing was played."""
    turns = merge(HoldoutConfig, folder / CONFIG).turns
    if not (folder / CORPUS).is_file():
        return {}, Like(None, turns)  # one program against itself is decided without an episode
    values: dict[str, dict[str, list[float]]] = {}
    worker: WorkerFingerprint | None = None
    with closing(SqliteCorpus.open_readonly(folder / CORPUS)) as played:
        async for episode, attempts in episodes_of(played, {"condition": CANDIDATE}):
            if episode.candidate != candidate:
                raise UsageError(f"{folder}: its candidate is {episode.candidate}, not {candidate}")
            worker = episode.worker
            if episode.failure is None:
                for name, value in success_of(episode, attempts, benchmark.objectives).values.items():
                    if value is not None:
                        values.setdefault(name, {}).setdefault(episode.task_digest, []).append(value)
    means = {name: [sum(each) / len(each) for each in tasks.values()] for name, tasks in values.items()}
    levels = {name: Level(mean=sum(tasks) / len(tasks), n=len(tasks)) for name, tasks in means.items()}
    return levels, Like(worker, turns)


def _turns(episode: Episode) -> int | None:
    """Turns that each attempt was granted; None where that was not limited, as in recorded trees."""
    granted = episode.granted
    return None if granted.turns is None or not granted.attempts else granted.turns // granted.attempts


def _most_turns(episodes: list[Episode]) -> int | None:
    known = [turns for episode in episodes if (turns := _turns(episode)) is not None]
    return Counter(known).most_common(1)[0][0] if known else None


def _most(workers: list[WorkerFingerprint]) -> WorkerFingerprint:
    texts = [worker.model_dump_json() for worker in workers]
    return WorkerFingerprint.model_validate_json(Counter(texts).most_common(1)[0][0])
