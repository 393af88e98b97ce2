"""Engines: each owns its loop and sees only the evaluator. An engine is a function of its seed and the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from optimizers.archive import Archive
from optimizers.evaluator import Evaluator
from optimizers.proposers import Proposer
from optimizers.records import TaskScore
from signatures.records import Candidate, Task

Decided: TypeAlias = Literal["seed", "accepted", "rejected", "unsupported"]
"""What became of a candidate. `unsupported`: not in the record, and no attempts left to run it, so it has no value."""


@dataclass(frozen=True)
class SearchPlan:
    """What a search is asked to do. A generation is a fixed number of an engine's iterations."""

    start: Candidate
    train: Sequence[Task]
    "minibatches and reflection"
    val: Sequence[Task]
    "what vectors in the archive are means over"
    seed: int
    generations: int
    iterations: int
    "per generation"
    minibatch: int
    compute: int | None = None
    "attempts that the evaluations may stand for, made or replayed; None: the budget alone decides. Random search"


@dataclass(frozen=True)
class Found:
    """A candidate as the search met it."""

    name: str
    candidate: Candidate
    parents: tuple[str, ...]
    generation: int
    proposer: str
    evidence: str
    decision: Decided
    scores: tuple[TaskScore, ...]
    "on the val tasks if accepted, else on the tasks where that ended"


class Listener(Protocol):
    """Told what a search finds, as it finds it; it cannot change anything."""

    def found(self, found: Found) -> None:
        """A candidate was scored and kept or rejected."""

    def generation(self, number: int, archive: Archive) -> None:
        """A generation ended."""


class Engine(Protocol):
    """One way to search."""

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Search until the generations or the budget are used up."""
