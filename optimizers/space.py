"""The space of rule lists: which conditions and actions an edit may use, and how an edit is applied."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from controllers.policies.rule import Condition, Rule, RuleList, RulePolicy, parse_rules
from optimizers.evidence.reflection import Reflection
from signatures.errors import UsageError
from signatures.records import Candidate, PolicyName

MOST_RULES = 8
"""Rules kept in a list: readable at a glance, and old rules fall off the end."""
MOST_THRESHOLDS = 4
"""Thresholds tried per feature."""


@dataclass(frozen=True)
class Space:
    """Thresholds by feature and actions by policy: what random and mined edits draw from."""

    thresholds: Mapping[str, tuple[float, ...]]
    actions: Mapping[PolicyName, tuple[str, ...]]

    def conditions(self) -> list[Condition]:
        """Every single condition of the space, in a fixed order."""
        return [
            Condition(feature=feature, op=op, value=value)
            for feature in sorted(self.thresholds)
            for value in self.thresholds[feature]
            for op in ("<=", ">")
        ]


def space_of(records: Sequence[Reflection], actions: Mapping[PolicyName, tuple[str, ...]]) -> Space:
    """The space that recorded moves span: features that vary, with thresholds between their quantiles.

    Moves of other benchmarks add values of the features that this benchmark's own moves have, and no feature.
    """
    seen: defaultdict[str, set[float]] = defaultdict(set)
    rows: Counter[str] = Counter()
    own = [record for record in records if not record.foreign]
    for record in own:
        rows.update(record.features.keys())
        for feature, value in record.features.items():
            seen[feature].add(value)
    for record in records:
        if record.foreign:
            for feature in record.features.keys() & seen.keys():
                seen[feature].add(record.features[feature])
    for feature, values in seen.items():
        if rows[feature] < len(own):
            values.add(0.0)  # not observed counts as no more than that: `last.undo > 0.5` is a condition
    thresholds = {feature: _between(sorted(values)) for feature, values in seen.items() if len(values) > 1}
    return Space(thresholds=thresholds, actions=actions)


def rules_of(candidate: Candidate, component: str) -> RuleList:
    """The decision list of a component. Raises UsageError where the candidate has none of that name."""
    text = candidate.components.get(component)
    if text is None:
        raise UsageError(f"{component}: this candidate is {', '.join(candidate.components)}: it has no rules to edit")
    return parse_rules(text)


def with_rule(candidate: Candidate, component: PolicyName, rule: Rule) -> Candidate:
    """`candidate` with `rule` put first in the component's list."""
    old = rules_of(candidate, component)
    kept = [one for one in old.rules if one.when != rule.when][: MOST_RULES - 1]
    return replaced(candidate, component, RuleList(rules=(rule, *kept), otherwise=old.otherwise))


def with_default(candidate: Candidate, component: PolicyName, action: str) -> Candidate:
    """`candidate` with another action where no rule of the component holds."""
    old = rules_of(candidate, component)
    return replaced(candidate, component, RuleList(rules=old.rules, otherwise={action: 1.0}))


def without_rule(candidate: Candidate, component: PolicyName, index: int) -> Candidate:
    """`candidate` without the rule at `index` of the component's list."""
    old = rules_of(candidate, component)
    kept = (*old.rules[:index], *old.rules[index + 1 :])
    return replaced(candidate, component, RuleList(rules=kept, otherwise=old.otherwise))


def replaced(candidate: Candidate, component: PolicyName, rules: RuleList) -> Candidate:
    """`candidate` with another decision list for one component."""
    return Candidate(components={**candidate.components, component: RulePolicy(rules).text})


def random_edit(candidate: Candidate, space: Space, rng: random.Random) -> Candidate:
    """One uniform edit of one component: put a random rule first, change the default, or drop a rule."""
    component: PolicyName = rng.choice(sorted(space.actions))
    action = rng.choice(space.actions[component])
    rules = rules_of(candidate, component).rules
    kind = rng.choice(("rule", "rule", "default", "drop"))
    if kind == "drop" and rules:
        return without_rule(candidate, component, rng.randrange(len(rules)))
    conditions = space.conditions()
    if kind == "default" or not conditions:
        return with_default(candidate, component, action)
    return with_rule(candidate, component, Rule(when=(rng.choice(conditions),), then={action: 1.0}))


def _between(values: Sequence[float]) -> tuple[float, ...]:
    """Midpoints between neighbouring distinct values, at most MOST_THRESHOLDS of them, evenly by rank."""
    middles = [(a + b) / 2 for a, b in pairwise(values)]
    if len(middles) <= MOST_THRESHOLDS:
        return tuple(middles)
    picks = np.linspace(0, len(middles) - 1, MOST_THRESHOLDS).round().astype(int)
    return tuple(middles[i] for i in picks)
