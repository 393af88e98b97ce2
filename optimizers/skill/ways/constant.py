"""No model: always the most frequent answer of the calibration questions, the first offered where several are."""

from __future__ import annotations

from collections import Counter
from typing import Final

from optimizers.skill.question import Question
from optimizers.skill.ways import Ask, Decider, Known, Reply
from signatures.errors import NoSupport


class Constant:
    """Always the same action. On questions that are balanced over answers it gets one answer's share right."""

    id: Final = "always one"
    ask: Ask | None = None
    fits: Final = True

    def fit(self, known: Known) -> Decider:
        """The most frequent label. Raises NoSupport."""
        if not known:
            raise NoSupport("no calibration question to learn an answer from")
        counts = Counter(question.label for question, _ in known)
        offered = known[0][0].legal
        usual = max(counts, key=lambda name: (counts[name], -offered.index(name) if name in offered else -len(offered)))

        def decide(question: Question, reply: Reply | None) -> str | None:
            return usual

        return decide
