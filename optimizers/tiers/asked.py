"""A model's answers for a replay: those on record, and live ones as far as it may be asked."""

from __future__ import annotations

from controllers.policies import Policy, View, Weights
from controllers.policies.choice import ChoicePolicy
from controllers.policies.lm import LMPolicy
from optimizers.replay.asking import Asking


class Unrecorded(Exception):
    """Nobody ever asked the model this, and it may not be asked now; what is walked there is unsupported."""


class Answers:
    """Asks policies for a replay: a model once per distinct input, and live at most `most` times."""

    def __init__(self, asking: Asking, *, most: int = 0) -> None:
        """`asking` holds the recorded answers. With `most` at 0 no model is ever called."""
        self.asking = asking
        self._most = most

    async def weights(self, policy: Policy, view: View) -> Weights:
        """The policy's weights. Raises Unrecorded, and what `Asking.weights` raises."""
        if isinstance(policy, LMPolicy) and self.asking.calls >= self._most:
            policy = _Silent.like(policy)
        if isinstance(policy, ChoicePolicy) and self.asking.calls >= self._most:
            policy = _SilentChoice(policy.name, policy.lm, policy.body)
        return await self.asking.weights(policy, view)


class _Silent(LMPolicy):
    """The same policy, by what it holds, of which only recorded answers can be had."""

    @classmethod
    def like(cls, policy: LMPolicy) -> LMPolicy:
        """`policy` without a model to call."""
        twin = cls(policy.name, policy.lm, tier=policy.tier, instructions=policy.predict.signature.instructions)
        twin.predict.demos = policy.predict.demos
        return twin

    async def decide(self, view: View) -> Weights:
        """Never an answer. Raises Unrecorded."""
        raise Unrecorded(f"policy {self.name} was never asked this")


class _SilentChoice(ChoicePolicy):
    """The same for a calibrated choice."""

    async def decide(self, view: View) -> Weights:
        """Never an answer. Raises Unrecorded."""
        raise Unrecorded(f"policy {self.name} was never asked this")
