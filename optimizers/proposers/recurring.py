"""The proposer of rules that keep being found: a correction that many runs speak for is one missing rule."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

from controllers.policies.rule import Rule
from controllers.program import NAMES
from optimizers.evidence.recurring import Recurrence
from optimizers.evidence.reflection import Reflection
from optimizers.journal import Proposal
from optimizers.proposers import Proposer
from optimizers.space import Space, with_default, with_rule
from signatures.digest import seed_of
from signatures.errors import UsageError
from signatures.records import Candidate, Cost, PolicyName

EVERY: Final = 3
"""One proposal in so many is of what recurs, where another proposer has the others."""


class RecurringProposer:
    """Proposes the rule that a recurrent finding recommends; the more runs, the likelier.

    Whatever does not recur, has been adopted, or is not for this component is left to `otherwise`, if there is one; so
    are two proposals in three, since what recurs is soon proposed.
    """

    def __init__(
        self, space: Space, recurrences: Sequence[Recurrence], otherwise: Proposer | None = None, *, every: int = EVERY
    ) -> None:
        self.space = space
        self.recurrences = tuple(one for one in recurrences if one.finding.rule is not None)
        self.otherwise = otherwise
        self._every = every
        self.name = "recurring" if otherwise is None else f"recurring, {otherwise.name}"

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        """One rule with the runs that speak for it, drawn by `seed`; None where there is none left.

        Raises what `otherwise` raises.
        """
        rng = random.Random(seed_of("recurring", seed, candidate.digest, component))
        changes = list(self._changes(candidate, component))
        if changes and (self.otherwise is None or rng.random() * self._every < 1):
            one, text = rng.choices(changes, weights=[one.count for one, _ in changes])[0]
            rule = one.finding.rule
            action = "" if rule is None else rule.action
            hypothesis = f"`{action}` is what is missing: {one.finding.said}."
            proposal = Proposal(text=text, evidence=one.evidence, proposer="recurring", hypothesis=hypothesis)
            return proposal, Cost()
        if self.otherwise is None:
            return None, Cost()
        return await self.otherwise.propose(candidate, component, records, seed=seed)

    def _changes(self, candidate: Candidate, component: PolicyName) -> Iterator[tuple[Recurrence, str]]:
        """The rules for this component that change it. A model's policy is not changed by rules."""
        if component not in NAMES or component not in candidate.components:
            return
        for one in self.recurrences:
            rule = one.finding.rule
            if rule is None or rule.policy != component or rule.action not in self.space.actions[component]:
                continue
            try:
                changed = (
                    with_rule(candidate, component, Rule(when=rule.when, then={rule.action: 1.0}))
                    if rule.when
                    else with_default(candidate, component, rule.action)
                )
            except UsageError:
                return
            if changed != candidate:
                yield one, changed.components[component]
