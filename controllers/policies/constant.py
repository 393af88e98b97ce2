"""The control: the same weights whatever was observed."""

from __future__ import annotations

from collections.abc import Mapping

from controllers.policies import View, Weights
from signatures.digest import canonical_json
from signatures.records import Tier


class ConstantPolicy:
    """Fixed weights over actions."""

    tier: Tier = "rule"

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = dict(weights)

    @property
    def text(self) -> str:
        """A decision list without rules, so that a constant loads as the rule tier does."""
        return canonical_json({"tier": "rule", "rules": [], "otherwise": self.weights})

    async def decide(self, view: View) -> Weights:
        """The weights."""
        return Weights(self.weights)
