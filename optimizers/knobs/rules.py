"""The knobs of decision lists: each policy's knobs, and the list that their values stand for.

A list is the rules that the knobs switch on, before the list that it starts from. Every knob has a value at which its
rule is not there, so that the start itself is one setting of the knobs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controllers.baselines import FRESH_FIRST, STOP_WHEN_PASSED
from controllers.moves import MAX_FANOUT
from controllers.policies.rule import Condition, Rule, RuleList
from optimizers.knobs.knob import Choice, Count, Knob, Level, Value
from optimizers.space import Space
from signatures.records import PolicyName

START: Final = "start"
"""The option that leaves what the start has."""
OFF: Final = "off"
MOST_OBSERVED: Final = 12
"""Observations with an action of their own: so many knobs more, and rules at most."""
COUNTED: Final = frozenset(
    {"attempts", "attempts_left", "turns_left", "usd_left", "stalled", "depth", "correct", "passed"}
)
"""Features that other knobs have a threshold of, or that the start stops at."""

Values = Mapping[str, Value]


@dataclass(frozen=True)
class Lists:
    """The three decision lists as functions of knob values.

    `attempts` is the most that an episode may make. A policy that is missing in `own` has no list to start from.
    """

    space: Space
    attempts: int
    own: Mapping[PolicyName, RuleList]

    def stop_knobs(self) -> tuple[Knob, ...]:
        """When an episode ends: after so many attempts, at such a value, where nothing improves or it is hopeless."""
        hopeless = tuple(said(one) for name in self.observed() for one in self._conditions(name))
        return (
            Choice("stop.base", *self._base("stop", ("passed", "never"))),
            Count("stop.after", 1, self.attempts, self.attempts),
            Count("stop.stalled", 1, self.attempts, self.attempts),
            Level("stop.correct", 0.0, 1.0, 1.0),
            Level("stop.turns_left", 0.0, 1.0, 0.0),
            Choice("stop.seen", (OFF, *hopeless), OFF),
        )

    def stop(self, values: Values) -> RuleList:
        """The stop list."""
        rules: list[Rule] = []
        for feature, name in (("attempts", "stop.after"), ("stalled", "stop.stalled")):
            if values[name] != self.attempts:
                rules.append(_rule("done", Condition(feature=feature, op=">", value=float(values[name]) - 0.5)))
        if values["stop.correct"] != 1.0:
            rules.append(_rule("done", Condition(feature="correct", op=">", value=float(values["stop.correct"]))))
        if values["stop.turns_left"] != 0.0:
            left = float(values["stop.turns_left"])
            rules.append(_rule("done", Condition(feature="turns_left", op="<=", value=left)))
        if values["stop.seen"] != OFF:
            seen = {said(one): one for name in self.observed() for one in self._conditions(name)}
            rules.append(_rule("done", seen[str(values["stop.seen"])]))
        passed = _list(STOP_WHEN_PASSED, "continue")
        bases = {"passed": passed, "never": _list([], "continue")}
        return _before(rules, self.own["stop"] if values["stop.base"] == START else bases[str(values["stop.base"])])

    def topology_knobs(self) -> tuple[Knob, ...]:
        """Fresh attempts to begin with, when to begin again, and what is done else."""
        return (
            Choice("topology.base", *self._base("topology", ("refine_last", "refine_best", "fanout_1"))),
            Count("topology.first", 0, min(MAX_FANOUT, self.attempts), 0),
            Count("topology.restart", 1, self.attempts, self.attempts),
        )

    def topology(self, values: Values) -> RuleList:
        """The topology list."""
        rules: list[Rule] = []
        if values["topology.first"]:
            none_yet = Condition(feature="attempts", op="<=", value=0.0)
            rules.append(_rule(f"fanout_{values['topology.first']}", none_yet))
        if values["topology.restart"] != self.attempts:
            stalled = float(values["topology.restart"]) - 0.5
            rules.append(_rule("fanout_1", Condition(feature="stalled", op=">", value=stalled)))
        bases = {
            "refine_last": _list(FRESH_FIRST, "refine_last"),
            # `refine_best` is legal only where the best is not the last one: then the last is gone on from.
            "refine_best": _list([*FRESH_FIRST, {"when": [], "then": {"refine_best": 1.0}}], "refine_last"),
            "fanout_1": _list([], "fanout_1"),
        }
        base = str(values["topology.base"])
        return _before(rules, self.own["topology"] if base == START else bases[base])

    def steer_knobs(self) -> tuple[Knob, ...]:
        """What the worker is told, for each observation: an action of the closed table where a condition holds."""
        actions = self.space.actions["steer"]
        knobs: list[Knob] = [Choice("steer.base", *self._base("steer", actions))]
        for feature in self.observed():
            sides = tuple(said(one) for one in self._conditions(feature))
            knobs.append(Choice(f"steer.at.{feature}", (OFF, *actions), OFF))
            knobs.append(Choice(f"steer.where.{feature}", sides, sides[-1]))
        return tuple(knobs)

    def steer(self, values: Values) -> RuleList:
        """The steer list, its rules in the order of `observed`."""
        rules = []
        for feature in self.observed():
            action = str(values[f"steer.at.{feature}"])
            if action != OFF:
                where = {said(one): one for one in self._conditions(feature)}
                rules.append(_rule(action, where[str(values[f"steer.where.{feature}"])]))
        base = str(values["steer.base"])
        return _before(rules, self.own["steer"] if base == START else _list([], base))

    def observed(self) -> tuple[str, ...]:
        """The features that steer may look at, the benchmark's own first, at most MOST_OBSERVED of them."""
        names = [name for name in self.space.thresholds if name not in COUNTED and self.space.thresholds[name]]
        return tuple(sorted(names, key=lambda name: (_common(name), name))[:MOST_OBSERVED])

    def _conditions(self, feature: str) -> list[Condition]:
        values = self.space.thresholds[feature]
        return [Condition(feature=feature, op=op, value=value) for op in ("<=", ">") for value in values]

    def _base(self, policy: PolicyName, options: Sequence[str]) -> tuple[tuple[str, ...], str]:
        """Options and default of the list that a policy's rules stand before."""
        named = (START, *options) if policy in self.own else tuple(options)
        return named, named[0]


def said(condition: Condition) -> str:
    """A condition in words, one text for one condition."""
    return f"{condition.feature} {condition.op} {condition.value!r}"


def _common(name: str) -> int:
    """0 for a feature of the benchmark's own, 1 for what was not tried, 2 for a common one, 3 for the last action."""
    kind = name.split(".")[0] if "." in name else ""
    return {"": 2, "untried": 1, "last": 3}.get(kind, 0)


def _rule(action: str, *when: Condition) -> Rule:
    return Rule(when=when, then={action: 1.0})


def _list(rules: Sequence[Mapping[str, object]], otherwise: str) -> RuleList:
    return RuleList(rules=tuple(Rule.model_validate(rule) for rule in rules), otherwise={otherwise: 1.0})


def _before(rules: Sequence[Rule], base: RuleList) -> RuleList:
    return RuleList(rules=(*rules, *base.rules), otherwise=base.otherwise)
