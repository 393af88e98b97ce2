"""The rule tier: a readable decision list over observation features. The first rule that holds decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controllers.policies import View, Weights
from signatures.digest import canonical_json
from signatures.errors import UsageError
from signatures.records import Finite, Tier

Weight = Annotated[Finite, Field(ge=0)]


class Condition(BaseModel):
    """`feature op value`; a feature that was not observed makes the condition false."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str
    op: Literal["<=", ">"]
    value: Finite

    def holds(self, features: Mapping[str, float]) -> bool:
        """Whether it holds for these features."""
        seen = features.get(self.feature)
        return seen is not None and (seen <= self.value if self.op == "<=" else seen > self.value)


class Rule(BaseModel):
    """If all conditions hold, these weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: tuple[Condition, ...]
    then: Mapping[str, Weight] = Field(min_length=1)


class RuleList(BaseModel):
    """An ordered list of rules, and what happens where none holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tier: Literal["rule"] = "rule"
    rules: tuple[Rule, ...] = ()
    otherwise: Mapping[str, Weight] = Field(min_length=1)


class RulePolicy:
    """A `RuleList` as a policy. No model, no state; a rule of which no action is legal now is passed over.

    Text and rules are unpacked once: they cannot change, and production decides by them in microseconds.
    """

    tier: Tier = "rule"

    def __init__(self, rules: RuleList) -> None:
        self.rules = rules
        self._text = canonical_json(rules)
        self._otherwise = Weights(rules.otherwise)
        self._plain = [_Plain(rule) for rule in rules.rules]

    @property
    def text(self) -> str:
        """The decision list as canonical JSON."""
        return self._text

    async def decide(self, view: View) -> Weights:
        """The weights of the first rule that holds and has a legal action, else `otherwise`."""
        features = view.features
        for rule in self._plain:
            if not rule.actions.isdisjoint(view.legal) and rule.holds(features):
                return rule.then
        return self._otherwise


class _Plain:
    """One rule, unpacked."""

    __slots__ = ("actions", "conditions", "then")

    def __init__(self, rule: Rule) -> None:
        self.then = Weights(rule.then)
        self.actions = frozenset(action for action, weight in rule.then.items() if weight > 0)
        self.conditions = tuple((one.feature, one.op == "<=", one.value) for one in rule.when)

    def holds(self, features: Mapping[str, float]) -> bool:
        """As `Condition.holds` for all conditions."""
        for feature, at_most, value in self.conditions:
            seen = features.get(feature)
            if seen is None or not (seen <= value if at_most else seen > value):
                return False
        return True


def parse_rules(text: str) -> RuleList:
    """The decision list in a JSON text. Raises UsageError with the first thing that is wrong."""
    try:
        return RuleList.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the text"
        raise UsageError(f"not a decision list: {place}: {first['msg']}") from error
