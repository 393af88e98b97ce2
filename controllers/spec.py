"""What one episode is: its inputs as a record (so that it has an id) and the parts that play it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from controllers import Checker, Corpus, Worker
from controllers.admission import Admission
from controllers.history import Seen
from controllers.observe import Observer
from controllers.retry import Breaker, RetryPolicy
from controllers.steers import Steerer
from signatures.digest import digest_of
from signatures.records import Amounts, Episode, Record, Split, Task

if TYPE_CHECKING:
    from controllers.program import Controller


class EpisodeSpec(Record):
    """Everything that decides an episode beside the worker: equal specs and workers give equal ids."""

    task: Task
    split: Split
    condition: str
    candidate: str | None = None
    seed: int
    repeat: int = 0
    "raised to run again what infrastructure ended"
    granted: Amounts
    turns_per_attempt: int | None = None
    steer_legal: tuple[str, ...] = ("none",)
    "actions of the table that the steer policy may draw here"
    floor: float = 0.0
    "least probability of every legal action: 0.05 or more while collecting"
    revision: str = ""
    "digest of the manifest: other checkers or another judge make another episode"


@dataclass(frozen=True)
class Parts:
    """The parts an episode is played with."""

    controller: Controller
    worker: Worker
    checkers: Sequence[Checker]
    steers: Mapping[str, Steerer]
    observer: Observer
    corpus: Corpus
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: Breaker = field(default_factory=Breaker)
    admission: Admission | None = None
    "asked before each round; None: nothing but the episode's own budget limits it"


class Rollout(NamedTuple):
    """A finished episode with its attempts and traces; `output` is the selected attempt's, None without one."""

    episode: Episode
    history: tuple[Seen, ...]
    output: str | None


def episode_id(spec: EpisodeSpec, parts: Parts) -> str:
    """The id of the episode: a function of spec, controller and worker."""
    return digest_of("episode", spec, parts.controller.digest, parts.worker.fingerprint)
