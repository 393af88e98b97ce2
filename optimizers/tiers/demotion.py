"""Which of a controller's model decisions a rule could make as well: proposals, of which a gate decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pydantic import Field

from controllers.policies import Policy
from controllers.policies.rule import RulePolicy
from controllers.program import Controller
from optimizers.tiers.agreement import Agreement, agreement_of, cross_fitted, folds_of
from optimizers.tiers.answered import Answered
from optimizers.tiers.fitting import Size, fit_rules, said
from optimizers.tiers.regret import Policies, Regret, Replayer, regrets_of
from signatures.errors import NoSupport
from signatures.records import Candidate, Cost, PolicyName, Probability, Record, Tier

ALPHA: Final = 0.025
"""One-sided, as in the gate: chance that what is proposed loses more than its upper end says on an objective."""


@dataclass(frozen=True)
class Registered:
    """What a demotion is held to; fixed before anything is fitted."""

    agreement: float = 0.9
    "least share of decisions that the rule reproduces"
    regret: float = 0.05
    "most that may be lost on any objective, by the upper end of the interval: the gate's own margin"
    folds: int = 5
    size: Size = field(default_factory=Size)


class Demotion(Record):
    """One decision of a model, and the rule that could make it."""

    policy: PolicyName
    tier: Tier
    component: str | None = None
    "the rule, fitted to all decisions; None: none could be fitted"
    rules: tuple[str, ...] = ()
    "the same in words"
    agreement: Agreement | None = None
    regrets: tuple[Regret, ...] = ()
    "of this rule alone in the controller, the rest as it is; rules fitted without the task that they are tried on"
    proposed: bool = False
    reasons: tuple[str, ...] = Field(min_length=1)
    asked: int = Field(default=0, ge=0)
    "recorded decisions of the model"
    cost: Cost = Cost()
    "of these: what a rule does not cost"


class Proposal(Record):
    """All that came of one controller."""

    demotions: tuple[Demotion, ...]
    together: tuple[Regret, ...] = ()
    "of the proposed rules in one controller"
    candidate: Candidate | None = None
    "the controller with them; None: nothing is proposed"
    reasons: tuple[str, ...] = ()
    "why a rule that would do alone is not among them"
    unsupported: Probability = 0.0
    "of the controller as it is: share of its walks that need an answer or an attempt that is not on record"


@dataclass
class _Fitted:
    """A rule for one policy: for each task one that has not seen it, and the one to be shipped."""

    by_fold: Sequence[RulePolicy]
    final: RulePolicy


async def propose(
    controller: Controller, by_policy: Mapping[PolicyName, Answered], replayer: Replayer, registered: Registered
) -> Proposal:
    """Fit a rule for each policy in `by_policy` and hold it to what was registered.

    `by_policy`: the recorded decisions of the policies that ask a model. Each rule is valued alone; those that pass
    are valued together, and where they lose too much together the one that may lose most is left out.
    Raises Outage and StoreError.
    """
    return await _Proposing(controller, by_policy, replayer, registered).proposal()


class _Proposing:
    def __init__(
        self,
        controller: Controller,
        by_policy: Mapping[PolicyName, Answered],
        replayer: Replayer,
        registered: Registered,
    ) -> None:
        self._controller, self._by_policy = controller, by_policy
        self._replayer, self._registered = replayer, registered
        tasks = {task.digest for task in replayer.tasks} | {r.task for one in by_policy.values() for r in one.rows}
        self._fold = folds_of(tasks, registered.folds)
        self._fitted: dict[PolicyName, _Fitted] = {}
        # what is proposed is one of all sets of these policies, chosen by looking at the values of several
        self._alpha = ALPHA / max(1, 2 ** len(by_policy) - 1)

    async def proposal(self) -> Proposal:
        self._model = await self._replayer.values(lambda task: self._controller.policies)
        demotions = [await self._demotion(name, mine) for name, mine in self._by_policy.items()]
        shares = [min(1.0, one.unsupported) for one in self._model.values()]
        chosen = [one for one in demotions if one.proposed]
        together, reasons = chosen[0].regrets if chosen else (), []
        while len(chosen) > 1:
            together = await self._regrets([one.policy for one in chosen])
            if not self._too_much(together):
                break
            worst = max(chosen, key=lambda one: max(regret.hi for regret in one.regrets))
            reasons.append(f"{worst.policy} stays: together {', '.join(self._too_much(together))}")
            chosen.remove(worst)
            together = chosen[0].regrets
        kept = {one.policy for one in chosen}
        return Proposal(
            demotions=tuple(one.model_copy(update={"proposed": one.policy in kept}) for one in demotions),
            together=together,
            candidate=self._candidate(kept) if kept else None,
            reasons=tuple(reasons),
            unsupported=sum(shares) / len(shares),
        )

    async def _demotion(self, name: PolicyName, mine: Answered) -> Demotion:
        about = {"policy": name, "tier": self._controller.policies[name].tier, "asked": mine.asked, "cost": mine.cost}
        try:
            size, folds = self._registered.size, self._registered.folds
            fitted = _Fitted(cross_fitted(mine.rows, self._fold, folds, size), RulePolicy(fit_rules(mine.rows, size)))
            constants = cross_fitted(mine.rows, self._fold, folds, replace(size, rules=1))
            agreement = await agreement_of(mine, self._fold, fitted.by_fold, constants)
        except NoSupport as error:
            return Demotion.model_validate({**about, "reasons": (str(error),)})
        self._fitted[name] = fitted
        regrets = await self._regrets([name])
        against = [*self._disagrees(agreement), *self._too_much(regrets)]
        found = {"component": fitted.final.text, "rules": tuple(said(fitted.final.rules)), "regrets": regrets}
        reasons = tuple(against) or (f"as good on the record: {_within(regrets)}",)
        verdict = {"agreement": agreement, "proposed": not against, "reasons": reasons}
        return Demotion.model_validate({**about, **found, **verdict})

    async def _regrets(self, names: Sequence[PolicyName]) -> tuple[Regret, ...]:
        def policies_for(task: str) -> Policies:
            changed: dict[PolicyName, Policy] = dict(self._controller.policies)
            changed.update({name: self._fitted[name].by_fold[self._fold[task]] for name in names})
            return changed

        return regrets_of(self._model, await self._replayer.values(policies_for), alpha=self._alpha)

    def _disagrees(self, agreement: Agreement) -> list[str]:
        mean, least = agreement.share.mean or 0.0, self._registered.agreement
        return [] if mean >= least else [f"it agrees in {mean:.1%} of the decisions, and {least:.1%} is registered"]

    def _too_much(self, regrets: Sequence[Regret]) -> list[str]:
        most = self._registered.regret
        return [
            f"{one.objective} may lose up to {one.hi * 100:.1f} points, and {most * 100:.1f} is registered"
            + (f" ({one.unsupported:.1%} is not on record)" if one.unsupported > 1e-9 else "")
            for one in regrets
            if one.hi > most
        ]

    def _candidate(self, kept: set[PolicyName]) -> Candidate:
        components = dict(self._controller.candidate.components)
        return Candidate(components={**components, **{name: self._fitted[name].final.text for name in kept}})


def _within(regrets: Sequence[Regret]) -> str:
    return ", ".join(f"{one.objective} loses at most {one.hi * 100:.1f} points" for one in regrets)
