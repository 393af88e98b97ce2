"""The likeliest action by the log-probabilities of one token, as the model gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from optimizers.skill.question import Question
from optimizers.skill.ways import Ask, Decider, Known, Reply


class Weighed:
    """`log-probabilities`, with demos or without."""

    fits: Final = False

    def __init__(self, *, demos: bool) -> None:
        self.id = named_with(demos, "log-probabilities")
        self.ask: Ask | None = Ask("weighed", demos)

    def fit(self, known: Known) -> Decider:
        """Nothing is fitted."""
        return by_scores({}, 1.0)


def named_with(demos: bool, name: str) -> str:
    """The name of a way, its demos said first."""
    return f"demos + {name}" if demos else name


def by_scores(bias: Mapping[str, float], scale: float) -> Decider:
    """Chooses the action with the highest scale * log-probability - bias; the first offered where several have it."""

    def decide(question: Question, reply: Reply | None) -> str | None:
        if reply is None or not reply.logprobs:
            return None
        usual = sum(bias.values()) / len(bias) if bias else 0.0
        return max(reply.logprobs, key=lambda name: scale * reply.logprobs[name] - bias.get(name, usual))

    return decide
