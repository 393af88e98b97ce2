"""The language-model tiers: a policy that asks a model through the `dspy.Predict` of its signature."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from controllers.lm import billed
from controllers.policies import View, Weights
from controllers.prompts import render
from signatures.digest import canonical_json
from signatures.records import PolicyName, Tier

if TYPE_CHECKING:
    import dspy


class LMPolicy:
    """Wraps a `dspy.Predict`. The model names an action and a confidence; the sampler draws.

    An answer that does not parse, or names no legal action, gives uniform weights: what a model or a worker
    writes cannot force an action through the parser.
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

    async def decide(self, view: View) -> Weights:
        """Ask the model. Raises ProviderError, or UsageError for a model that is not configured."""
        import dspy
        from dspy.utils.exceptions import AdapterParseError

        observations = tuple(item for seen in view.history for item in seen.observations())
        inputs: dict[str, Any] = {
            "task": view.task.prompt,
            "features": dict(view.features),
            "observations": render(observations),
            "legal": list(view.legal),
        }

        async def ask(lm: dspy.LM) -> dspy.Prediction | None:
            try:
                with dspy.context(adapter=dspy.ChatAdapter(use_json_adapter_fallback=False)):
                    return await self.predict.acall(lm=lm, **inputs)
            except AdapterParseError:
                return None

        answer, cost = await billed(self.lm, ask)
        shown = tuple(item.id for item in observations)
        return Weights(_weights(answer, view.legal), shown, cost)


def _weights(answer: Any, legal: tuple[str, ...]) -> dict[str, float]:
    """The named action with its confidence, the rest shared evenly; uniform where the answer cannot be used."""
    uniform = dict.fromkeys(legal, 1.0)
    action = getattr(answer, "action", None)
    confidence = getattr(answer, "confidence", None)
    if action not in legal or len(legal) == 1:
        return uniform
    sure = float(confidence) if isinstance(confidence, int | float) and math.isfinite(confidence) else 1.0
    sure = min(1.0, max(0.0, sure))
    rest = (1.0 - sure) / (len(legal) - 1)
    return {name: sure if name == action else rest for name in legal}
