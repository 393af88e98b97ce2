"""No model: a readable decision list over the features, fitted on the calibration questions."""

from __future__ import annotations

from typing import Final

from optimizers.skill.question import Question
from optimizers.skill.ways import Ask, Decider, Known, Reply
from optimizers.tiers.answered import Row
from optimizers.tiers.fitting import Size, fit_rules

SIZE: Final = Size(depth=2, rules=4, least=4)
"""Few questions: a list that rests on fewer than four each would learn them by heart."""


class Rules:
    """The rule tier."""

    id: Final = "rules"
    ask: Ask | None = None
    fits: Final = True

    def fit(self, known: Known) -> Decider:
        """Raises NoSupport without a question."""
        rules = fit_rules([Row(one.task, one.features, one.legal, one.label) for one, _ in known], SIZE)

        def decide(question: Question, reply: Reply | None) -> str | None:
            holding = (rule.then for rule in rules.rules if all(c.holds(question.features) for c in rule.when))
            weights = next(holding, rules.otherwise)
            return max(weights, key=lambda name: weights[name])

        return decide
