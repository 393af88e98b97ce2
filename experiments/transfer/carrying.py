"""The one rule by which a controller that was learned in one domain is tried in another.

part of the controller                 in the other domain
condition on a common feature          as it is (controllers/observe.py names them)
condition on a feature not found there can never hold, so its rule is left out: the source's own features, and
                                       `untried.<action>` or `last.<action>` of an action that is not in the table
steer action of the table              as it is: the same name is taken for the same action
any other steer action                 `rule`, the first directive of the table not tried yet; `none` without a table
topology, stop                         as they are
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import Field

from controllers.policies.rule import Rule, RuleList
from controllers.program import NAMES
from optimizers.space import replaced, rules_of
from signatures.records import Candidate, Record

RULE: Final = "rule"
OF_ACTIONS: Final = frozenset({"untried", "last"})
"""Prefixes of common features that are about one action."""


class Carried(Record):
    """A controller as it is tried in another domain, and what the rule changed."""

    candidate: Candidate
    mapped: Mapping[str, str] = Field(default_factory=dict)
    "steer action that the table lacks -> what stands for it"
    silent: tuple[str, ...] = ()
    "features that are never observed there"
    left_out: int = Field(default=0, ge=0)
    "rules that could never hold there"

    def said(self) -> str:
        """In words."""
        told = [f"{action} became {stand_in}" for action, stand_in in self.mapped.items()]
        if self.left_out:
            told.append(f"{self.left_out} rules left out, on {', '.join(self.silent)}")
        return "; ".join(told) or "unchanged"


def carry(candidate: Candidate, *, benchmark: str, legal: Sequence[str]) -> Carried:
    """The controller for the benchmark of that id, whose steer policy may draw the actions `legal`.

    Carried to where it comes from, a controller is what it was. Raises UsageError for one that is not all rules.
    """
    stand_in = RULE if RULE in legal else "none"
    mapped: dict[str, str] = {}
    silent: set[str] = set()
    left_out = 0
    for name in NAMES:
        rules = rules_of(candidate, name)
        kept = []
        for rule in rules.rules:
            absent = {one.feature for one in rule.when if is_foreign(one.feature, benchmark=benchmark, legal=legal)}
            silent |= absent
            left_out += bool(absent)
            if not absent:
                kept.append(rule)
        now = RuleList(rules=tuple(kept), otherwise=rules.otherwise)
        if name == "steer":
            now = _mapped(now, legal, stand_in, mapped)
        candidate = replaced(candidate, name, now)
    return Carried(candidate=candidate, mapped=mapped, silent=tuple(sorted(silent)), left_out=left_out)


def is_foreign(feature: str, *, benchmark: str, legal: Sequence[str]) -> bool:
    """Whether the benchmark of that id never shows the feature."""
    prefix, dot, rest = feature.partition(".")
    if not dot:
        return False
    return rest not in legal if prefix in OF_ACTIONS else prefix != benchmark


def _mapped(rules: RuleList, legal: Sequence[str], stand_in: str, mapped: dict[str, str]) -> RuleList:
    """The list with a stand-in for each action that is not legal; which ones is noted in `mapped`."""

    def weights(given: Mapping[str, float]) -> dict[str, float]:
        found: defaultdict[str, float] = defaultdict(float)
        for action, weight in given.items():
            if action not in legal:
                mapped[action] = stand_in
            found[action if action in legal else stand_in] += weight
        return dict(found)

    kept = tuple(Rule(when=rule.when, then=weights(rule.then)) for rule in rules.rules)
    return RuleList(rules=kept, otherwise=weights(rules.otherwise))
