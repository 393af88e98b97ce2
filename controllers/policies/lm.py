"""The language-model tiers: a policy that asks a model through the `dspy.Predict` of its signature."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Self

from controllers.choosing import action_grammar
from controllers.lm import answered, constrained
from controllers.policies import View, Weights
from controllers.prompts import SHOWN
from signatures.digest import canonical_json
from signatures.records import PolicyName, Tier

if TYPE_CHECKING:
    import dspy


class LMPolicy:
    """Wraps a `dspy.Predict`. The model names an action and a confidence; the sampler draws.

    An answer that does not parse, or names no legal action, gives uniform weights: what a model or a worker
    writes cannot force an action through the parser. A local model is held to answers that parse.
    """

    def __init__(self, name: PolicyName, lm: dspy.LM, *, tier: Tier = "frontier", instructions: str | None = None):
        import dspy

        from signatures.policies import signature_of

        signature = signature_of(name)
        self.name = name
        self.lm = lm
        self.tier: Tier = tier
        self.predict = dspy.Predict(signature if instructions is None else signature.with_instructions(instructions))

    @property
    def text(self) -> str:
        """Tier, model, instructions and demos as JSON: all that an optimizer may change, and no secret."""
        demos = [dict(demo) for demo in self.predict.demos]
        return canonical_json(
            {
                "tier": self.tier,
                "model": self.lm.model,
                "instructions": self.predict.signature.instructions,
                "demos": demos,
            }
        )

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """A copy to edit: its own predictor, the same model."""
        twin = copy.copy(self)
        twin.predict = copy.deepcopy(self.predict, memo)
        return twin

    async def decide(self, view: View) -> Weights:
        """Ask the model. Raises ProviderError, or UsageError for a model that is not configured."""
        shown = [one for seen in view.history for one in seen.shown()][-SHOWN:]
        inputs: dict[str, object] = {
            "task": view.task.prompt,
            "features": dict(view.features),
            "observations": [one.line for one in shown],
            "legal": list(view.legal),
        }
        lm = constrained(self.lm, action_grammar(view.legal))
        answer, cost = await answered(self.predict, lm, inputs)
        return Weights(_weights(answer, view.legal), tuple(one.id for one in shown), cost)


def _weights(answer: dspy.Prediction | None, legal: tuple[str, ...]) -> dict[str, float]:
    """The named action with its confidence, the rest shared evenly; uniform where the answer cannot be used."""
    uniform = dict.fromkeys(legal, 1.0)
    action = str(getattr(answer, "action", "")).strip(" \n\t`'\"")
    confidence = getattr(answer, "confidence", None)
    if action not in legal or len(legal) == 1:
        return uniform
    if not isinstance(confidence, int | float) or not math.isfinite(confidence):
        return uniform
    sure = min(1.0, max(0.0, float(confidence)))
    rest = (1.0 - sure) / (len(legal) - 1)
    return {name: sure if name == action else rest for name in legal}
