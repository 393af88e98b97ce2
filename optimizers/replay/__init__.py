"""Replay: what a candidate would have done on recorded episodes, with no live one. One estimator a file.

An estimator answers for every candidate, with an `Estimate` or with a `Refusal` that says why. It never invents what
the record does not hold, and never takes an infrastructure failure for a zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from optimizers.episode_log import EpisodeLog, Target
from optimizers.replay.estimates import Estimate, Refusal
from signatures.records import Task

if TYPE_CHECKING:
    from controllers.program import Controller
    from optimizers.replay.tree import TreeReplay


@dataclass(frozen=True)
class Evidence:
    """What was recorded: episodes with propensities, trees of attempts, or both. An estimator names what it misses."""

    log: EpisodeLog | None = None
    trees: TreeReplay | None = None
    tasks: Sequence[Task] = ()
    "the tasks that trees are walked for"


@dataclass(frozen=True)
class Asked:
    """The candidates to value: as controllers for tree replay, as probabilities for the rest."""

    names: tuple[str, ...]
    controllers: Sequence[Controller] = ()
    target: Target | None = None


class Estimator(Protocol):
    """One way to value candidates on the record."""

    @property
    def id(self) -> str:
        """The name in tables: `tree`, `snips`, ..."""

    async def estimate(self, evidence: Evidence, asked: Asked) -> list[Estimate | Refusal]:
        """One answer per candidate, in order. Raises UsageError where the evidence it reads is not there at all."""
