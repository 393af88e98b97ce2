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
    """A `RuleList` as a policy. No model, no state; a rule of which no action is legal now is passed over."""

    tier: Tier = "rule"

    def __init__(self, rules: RuleList) -> None:
        self.rules = rules

    @property
    def text(self) -> str:
        """The decision list as canonical JSON."""
        return canonical_json(self.rules)

    async def decide(self, view: View) -> Weights:
        """The weights of the first rule that holds and has a legal action, else `otherwise`."""
        for rule in self.rules.rules:
            legal_weight = any(rule.then.get(action, 0.0) > 0 for action in view.legal)
            if legal_weight and all(condition.holds(view.features) for condition in rule.when):
                return Weights(rule.then)
        return Weights(self.rules.otherwise)


def parse_rules(text: str) -> RuleList:
    """The decision list in a JSON text. Raises UsageError with the first thing that is wrong."""
    try:
        return RuleList.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the text"
        raise UsageError(f"not a decision list: {place}: {first['msg']}") from error
