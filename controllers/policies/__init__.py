"""Policies: `decide(view) -> weights over actions`. What is done is drawn by the sampler in `controllers/arms.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from controllers.history import Seen
from signatures.records import Amounts, Cost, Task, Tier


class Around(Protocol):
    """The episode around a decision, for a policy that looks back: all of it a function of the attempts made."""

    @property
    def steers(self) -> tuple[str, ...]:
        """The steer actions that are legal in this episode."""

    def left(self, history: tuple[Seen, ...]) -> Amounts:
        """What the grant leaves after these attempts; `None` is no limit."""

    def observed(self, history: tuple[Seen, ...]) -> Mapping[str, float]:
        """The features after these attempts."""


class View(NamedTuple):
    """What a policy may see when it decides."""

    task: Task
    features: Mapping[str, float]
    legal: tuple[str, ...]
    history: tuple[Seen, ...] = ()
    "attempts and traces so far; a prompt gets them as observations"
    around: Around | None = None
    "None where a state is looked at outside an episode: a program cannot decide there"


class Weights(NamedTuple):
    """A policy's answer: unnormalised weights over actions, the observations it was shown, and what it cost."""

    weights: Mapping[str, float]
    shown: tuple[str, ...] = ()
    cost: Cost = Cost()
    answered_by: Policy | None = None
    "set where another policy than the one that was asked has answered: a fallback"


class Policy(Protocol):
    """One of the three decisions, in one tier."""

    @property
    def tier(self) -> Tier:
        """Where the decision is made."""

    @property
    def text(self) -> str:
        """The policy as JSON text: what a candidate holds, what `digest` is of."""

    async def decide(self, view: View) -> Weights:
        """Weights over actions; actions that are not legal now are ignored by the sampler."""
