"""The policy as it is: a `dspy.Predict` of its signature names an action, with demos before it or without."""

from __future__ import annotations

from typing import Final

from optimizers.skill.question import Question
from optimizers.skill.ways import Ask, Decider, Known, Reply


class Named:
    """`zero-shot`, or `demos` where answered questions of the learned families stand before it."""

    fits: Final = False

    def __init__(self, *, demos: bool) -> None:
        self.id = "demos" if demos else "zero-shot"
        self.ask: Ask | None = Ask("named", demos)

    def fit(self, known: Known) -> Decider:
        """Nothing is fitted."""

        def decide(question: Question, reply: Reply | None) -> str | None:
            return None if reply is None else reply.action

        return decide
