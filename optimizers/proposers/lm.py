"""The proposer with a language model: it reads episodes, pairs and findings, and rewrites one component."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from controllers.lm import answered
from controllers.policies.rule import RuleList, RulePolicy, parse_rules
from controllers.program import NAMES, policy_of
from optimizers.evidence.contrast import Pair, shown_pairs
from optimizers.evidence.episodes_told import Telling, shown_episodes, within
from optimizers.evidence.findings import AnalysisFinding
from optimizers.evidence.gathered import Evidence, evidence_of
from optimizers.evidence.reflection import Reflection
from optimizers.journal import Proposal
from optimizers.space import Space
from signatures.digest import canonical_json, seed_of
from signatures.errors import UsageError
from signatures.records import Candidate, Cost, PolicyName

if TYPE_CHECKING:
    import dspy

MOST_RECORDS: Final = 24
"""Moves shown to the model: the largest losses and the largest gains."""
MOST_LEARNED: Final = 12
"""Learned moves of a policy that are shown beside them, chosen in the same way."""
MOST_PAIRS: Final = 4
"""Contrastive pairs shown: those of the batch first, then of the tasks with the widest spread, drawn by the seed."""
MOST_FINDINGS: Final = 12
MOST_CHARS: Final = 60_000
"""Characters of evidence in one question, about a quarter of it tokens; a small model is given less."""
SHARES: Final[Mapping[str, float]] = MappingProxyType({"pairs": 0.3, "episodes": 0.35, "records": 0.35})
MOST_HYPOTHESIS: Final = 400


@dataclass(frozen=True)
class Material:
    """What a proposer knows beside what it is handed: of other runs and places, and of all train tasks."""

    learned: Sequence[Reflection] = ()
    "moves made elsewhere"
    pairs: Sequence[Pair] = ()
    "of all train tasks, the widest spread first"
    findings: Sequence[AnalysisFinding] = ()
    most_chars: int = MOST_CHARS


class LMProposer:
    """Asks a model for a whole new component. What does not load as it, or states no hypothesis, is no proposal.

    What was `learned` elsewhere is shown as features, action and gain, and says where it was learned; `material`, where
    it is given, holds what was learned too.
    """

    def __init__(
        self, lm: dspy.LM, space: Space, learned: Sequence[Reflection] = (), *, material: Material | None = None
    ) -> None:
        import dspy

        from signatures.proposing import Propose

        self.lm = lm
        self.space = space
        self.material = material or Material(learned)
        self.learned = {name: telling(self.material.learned, name, most=MOST_LEARNED) for name in NAMES}
        self.name = str(lm.model)
        self.predict = dspy.Predict(Propose)

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        """The model's proposal if it parses, loads, names its policy's actions only and states a hypothesis.

        None without asking for a program, which has its own authors. Raises ProviderError.
        """
        if component not in NAMES:
            return None, Cost()
        current = candidate.components[component]
        body = json.loads(current)
        is_rule = body["tier"] == "rule"
        inputs = {
            "component": component,
            "form": self._form(component) if is_rule else INSTRUCTIONS_FORM,
            "current": current if is_rule else body["instructions"],
            **self._told(evidence_of(records).only(component), component, seed),
        }
        answer, cost = await answered(self.predict, self.lm, inputs)
        told = "" if answer is None else str(answer.proposal or "")
        hypothesis = "" if answer is None else " ".join(str(answer.hypothesis or "").split())[:MOST_HYPOTHESIS]
        if answer is None or not told.strip() or not hypothesis:
            return None, cost
        try:
            text = (
                self._rules(component, told, current)
                if is_rule
                else policy_of(component, canonical_json({**body, "instructions": told}), self.lm).text
            )
        except UsageError:
            return None, cost
        evidence = str(answer.evidence or "")
        return Proposal(text=text, evidence=evidence, proposer=self.name, hypothesis=hypothesis).encodable(), cost

    def _told(self, evidence: Evidence, component: PolicyName, seed: int) -> dict[str, list[str]]:
        """The evidence as texts, each kind within its share of the room; what is left out is said."""
        room = {name: int(share * self.material.most_chars) for name, share in SHARES.items()}
        findings = [one.line for one in self.material.findings if one.for_models]
        moves = [*telling(evidence.moves, component), *self.learned[component]]
        whole = bool(evidence.episodes)  # then a move need not tell its attempts once more
        return {
            "findings": _first(findings, MOST_FINDINGS, "findings"),
            "pairs": shown_pairs(self._pairs(evidence, component, seed), most_chars=room["pairs"]),
            "episodes": shown_episodes(evidence.episodes, most_chars=room["episodes"]),
            "records": within([_telling(one, brief=whole) for one in moves], "records", room["records"]),
        }

    def _pairs(self, evidence: Evidence, component: PolicyName, seed: int) -> list[Pair]:
        """Pairs that differ in this component: the batch's, and others drawn, so that questions differ."""
        own = list(evidence.pairs[:MOST_PAIRS])
        known = {pair.id for pair in own}
        others = [pair for pair in self.material.pairs if pair.policy == component and pair.id not in known]
        most = min(MOST_PAIRS - len(own), len(others))
        if most > 0:
            widest = others[: 4 * most]  # by spread, never by a verdict
            chosen = sorted(random.Random(seed_of("pairs", seed, component)).sample(range(len(widest)), most))
            own += [widest[number] for number in chosen]
        return own

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


def _first(lines: Sequence[str], most: int, what: str) -> list[str]:
    left_out = [f"{len(lines) - most} more {what} are left out"] if len(lines) > most else []
    return [*lines[:most], *left_out]


def _telling(record: Reflection, *, brief: bool) -> Telling:
    """A move as it is shown; `brief`: without the attempts before and after it."""
    bare = record.model_copy(update={"before": (), "observed": ()}) if brief else record

    def shown(lines: int) -> dict[str, object]:
        return {name: value for name, value in bare.shown(lines=lines).items() if value != []}

    return shown


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
