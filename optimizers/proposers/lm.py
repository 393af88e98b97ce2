"""The proposer with a language model: it reads the reflective records and rewrites one component."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from controllers.lm import answered
from controllers.policies.rule import RuleList, RulePolicy, parse_rules
from controllers.program import NAMES, policy_of
from optimizers.journal import Proposal
from optimizers.reflection import Reflection
from optimizers.space import Space
from signatures.digest import canonical_json
from signatures.errors import UsageError
from signatures.records import Candidate, Cost, PolicyName

if TYPE_CHECKING:
    import dspy

MOST_RECORDS: Final = 24
"""Records shown to the model: the largest losses and the largest gains."""
MOST_LEARNED: Final = 12
"""Learned moves of a policy that are shown beside them, chosen in the same way."""


class LMProposer:
    """Asks a model for a whole new component. What does not load as that component is no proposal.

    What was `learned` elsewhere is shown as features, action and gain, and says where it was learned.
    """

    def __init__(self, lm: dspy.LM, space: Space, learned: Sequence[Reflection] = ()) -> None:
        import dspy

        from signatures.proposing import Propose

        self.lm = lm
        self.space = space
        self.learned = {name: telling(learned, name, most=MOST_LEARNED) for name in NAMES}
        self.name = str(lm.model)
        self.predict = dspy.Predict(Propose)

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        """The model's proposal if it parses, loads and names only actions of its policy, else None.

        Raises ProviderError.
        """
        current = candidate.components[component]
        body = json.loads(current)
        is_rule = body["tier"] == "rule"
        told_of = [*telling(records, component), *self.learned[component]]
        shown = [canonical_json(record.shown()) for record in told_of]

        inputs = {
            "component": component,
            "form": self._form(component) if is_rule else INSTRUCTIONS_FORM,
            "current": current if is_rule else body["instructions"],
            "records": shown,
        }
        answer, cost = await answered(self.predict, self.lm, inputs)
        told = "" if answer is None else str(answer.proposal or "")
        if answer is None or not told.strip():
            return None, cost
        try:
            text = (
                self._rules(component, told, current)
                if is_rule
                else policy_of(component, canonical_json({**body, "instructions": told}), self.lm).text
            )
        except UsageError:
            return None, cost
        return Proposal(text=text, evidence=str(answer.evidence or ""), proposer=self.name), cost

    def _rules(self, component: PolicyName, text: str, current: str) -> str:
        """The decision list in `text`, in canonical form. Raises UsageError, also for another policy's actions."""
        proposed = parse_rules(text)
        unknown = actions_in(proposed) - actions_in(parse_rules(current)) - set(self.space.actions[component])
        if unknown:
            raise UsageError(f"{component} has no action {', '.join(sorted(unknown))}")
        return RulePolicy(proposed).text

    def _form(self, component: PolicyName) -> str:
        features = ", ".join(sorted(self.space.thresholds))
        actions = ", ".join(self.space.actions[component])
        return (
            'JSON: {"tier":"rule","rules":[{"when":[{"feature":NAME,"op":"<=" or ">","value":NUMBER}],'
            '"then":{ACTION:WEIGHT}}],"otherwise":{ACTION:WEIGHT}}. The first rule whose conditions all hold decides. '
            f"Features: {features}. Actions: {actions}."
        )


INSTRUCTIONS_FORM: Final = "Plain text: the instructions that the policy's model is given. Its fields stay as they are."


def actions_in(rules: RuleList) -> set[str]:
    """Every action that a decision list names."""
    return {action for weights in (rules.otherwise, *(rule.then for rule in rules.rules)) for action in weights}


def telling(records: Sequence[Reflection], component: PolicyName, *, most: int = MOST_RECORDS) -> list[Reflection]:
    """The moves of one policy that say most: half the worst, half the best by gain, in a fixed order."""
    rows = sorted((r for r in records if r.policy == component), key=lambda r: (r.gain, r.content_digest()))
    if len(rows) <= most:
        return rows
    half = most // 2
    return [*rows[:half], *rows[-half:]]
