"""A policy that asks a model or runs a program, and the rule that decides where that fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controllers.policies import Policy, View, Weights
from signatures.errors import ProviderError, UsageError
from signatures.records import Cost, Tier
from signatures.release import Release

if TYPE_CHECKING:
    from controllers.program import Controller


@dataclass(frozen=True)
class Patience:
    """How long a model is waited for, and when it counts as down."""

    timeout_s: float = 30.0
    "for one decision, a second try included"
    failures: int = 3
    "decisions in a row that the model did not make; then it is not asked"
    cool_down_s: float = 60.0
    "for so long; then one decision tries it again"


PATIENT = Patience()


class FallbackPolicy:
    """`policy`, or `fallback` where `policy` cannot be asked; then `Weights.answered_by` says so.

    It is named by `policy`: text and tier are its. A failure that another try may mend is tried once more; a model
    that answers nothing of use has answered. What it cost to ask in vain is billed as time, since nobody reported more.
    """

    def __init__(
        self,
        policy: Policy,
        fallback: Policy,
        patience: Patience = PATIENT,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = policy
        self.fallback = fallback
        self.patience = patience
        self.clock = clock
        self._failed = 0
        self._rests_until: float | None = None

    @property
    def tier(self) -> Tier:
        """The policy's."""
        return self.policy.tier

    @property
    def text(self) -> str:
        """The policy's: a fallback changes no digest, since the release has its own field for it."""
        return self.policy.text

    @property
    def down(self) -> bool:
        """Whether the model is not asked at the moment."""
        return self._rests_until is not None and self.clock() < self._rests_until

    async def decide(self, view: View) -> Weights:
        """The model's weights, or the rule's. Raises what neither is meant for, a breach of the firewall first."""
        if self.down:
            return await self._instead(view, Cost())
        if self._rests_until is not None:
            # Of many episodes that wait for the model one tries it; for the others it is still down.
            self._rest()
        started = self.clock()
        answer = await self._asked(view)
        if answer is None:
            self._failed += 1
            if self._failed >= self.patience.failures:
                self._rest()
            return await self._instead(view, Cost(wall_s=max(0.0, self.clock() - started)))
        self._failed, self._rests_until = 0, None
        return answer

    async def _asked(self, view: View) -> Weights | None:
        """The model's weights; None where it cannot be asked, or not in time."""
        try:
            async with asyncio.timeout(self.patience.timeout_s):
                try:
                    return await self.policy.decide(view)
                except ProviderError as error:
                    if not error.retryable:
                        return None
                    await asyncio.sleep(error.retry_after_s or 0.0)
                return await self.policy.decide(view)
        except (ProviderError, UsageError, TimeoutError):
            # A key that was withdrawn is a UsageError: the model is as unreachable as one that is down. So is a
            # program's own fault.
            return None

    async def _instead(self, view: View, wasted: Cost) -> Weights:
        answer = await self.fallback.decide(view)
        return answer._replace(cost=wasted.plus(answer.cost), answered_by=self.fallback)

    def _rest(self) -> None:
        self._rests_until = self.clock() + self.patience.cool_down_s


def guarded(controller: Controller, release: Release, patience: Patience = PATIENT) -> Controller:
    """The controller with the release's registered fallback behind each policy that may fail.

    Raises UsageError for a fallback that is no rule.
    """
    from controllers.policies.rule import RulePolicy, parse_rules
    from controllers.program import Controller

    policies = {}
    for name, policy in controller.policies.items():
        text = release.fallback.get(name)
        behind = RulePolicy(parse_rules(text)) if text is not None and may_fail(policy) else None
        policies[name] = policy if behind is None else FallbackPolicy(policy, behind, patience)
    stop, topology, steer = policies["stop"], policies["topology"], policies["steer"]
    return Controller(stop=stop, topology=topology, steer=steer, program=controller.program)


def may_fail(policy: Policy) -> bool:
    """Whether a policy needs a rule behind it: one that asks a model, or a program's."""
    from controllers.programs.policy import ProgramPolicy

    return policy.tier != "rule" or isinstance(policy, ProgramPolicy)
