"""An episode in production: its spec and its parts, both from the release that decides it to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from controllers import Checker, Corpus, Worker
from controllers.observe import Observer
from controllers.release import Champion
from controllers.spec import EpisodeSpec, Parts
from controllers.steers import Steerer
from signatures.errors import UsageError
from signatures.records import Task

PRODUCTION: Final = "production"
"""The split, and the condition, of every production episode."""


def production_spec(champion: Champion, task: Task, *, seed: int, repeat: int = 0) -> EpisodeSpec:
    """The spec of one production episode. Its revision is the release, so another release makes another episode.

    `seed`: one of its own per episode, or the corpus takes the second for the first. Raises UsageError where the task
    is another benchmark's.
    """
    release = champion.release
    if task.benchmark != release.benchmark:
        raise UsageError(f"task of {task.benchmark}: release {release.name} was made for {release.benchmark}")
    return EpisodeSpec(
        task=task,
        split=PRODUCTION,
        condition=PRODUCTION,
        candidate=release.candidate,
        seed=seed,
        repeat=repeat,
        granted=release.granted,
        turns_per_attempt=release.turns_per_attempt,
        steer_legal=release.steer_legal,
        floor=release.exploration,
        revision=release.digest,
    )


def production_parts(
    champion: Champion,
    *,
    worker: Worker,
    checkers: Sequence[Checker],
    steers: Mapping[str, Steerer],
    observer: Observer,
    corpus: Corpus,
) -> Parts:
    """The parts that play it: the champion's controller and, behind its models, the registered fallbacks.

    Nobody's verdict is anywhere near.
    """
    return Parts(
        controller=champion.deciding,
        worker=worker,
        checkers=checkers,
        steers=steers,
        observer=observer,
        corpus=corpus,
    )
