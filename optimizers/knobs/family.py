"""A family of controllers: all that its knobs can be turned to, around the controller that a search starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from controllers.policies.rule import RuleList, RulePolicy, parse_rules
from controllers.program import NAMES, lm_component
from optimizers.knobs.knob import Choice, Knob, Value, defaults, settled
from optimizers.knobs.programs import Sketch
from optimizers.knobs.rules import START, Lists
from optimizers.space import Space
from signatures.errors import UsageError
from signatures.records import Candidate, PolicyName

if TYPE_CHECKING:
    import dspy

RULES: Final = "rules"
FAMILY: Final = "family"
MOST_SAID: Final = 5
"""Knobs that a hypothesis names."""


@dataclass(frozen=True)
class Family:
    """Controllers by knob values. The defaults of all knobs are `start`, whatever it is.

    `attempts` is the most that an episode may make; `lm` offers a model's policy beside each list of rules; `sketches`
    are programs with parameters, by name.
    """

    start: Candidate
    space: Space
    attempts: int
    lm: dspy.LM | None = None
    sketches: Mapping[str, Sketch] = field(default_factory=dict)

    @cached_property
    def knobs(self) -> tuple[Knob, ...]:
        """Every knob, in a fixed order; those of what is not chosen have no effect."""
        found: list[Knob] = []
        if len(kinds := self._kinds()) > 1:
            found.append(Choice(FAMILY, kinds, kinds[0]))
        for name, policy_knobs in self._lists_knobs().items():
            if len(tiers := self._tiers(name)) > 1:
                found.append(Choice(f"{name}.tier", tiers, tiers[0]))
            found += policy_knobs
        for sketch, program in self.sketches.items():
            found += [knob._replace(name=f"{sketch}.{knob.name}") for knob in program.knobs]
        return tuple(found)

    @property
    def defaults(self) -> Mapping[str, Value]:
        """The start's own setting."""
        return defaults(self.knobs)

    def candidate_of(self, values: Mapping[str, object]) -> Candidate:
        """The controller at these values: defined for any, since what is missing or impossible is the default."""
        at = settled(self.knobs, values)
        kind = str(at.get(FAMILY, self._kinds()[0]))
        if kind in self.sketches:
            head = f"{kind}."
            own = {name.removeprefix(head): value for name, value in at.items() if name.startswith(head)}
            return self.sketches[kind].write(own)
        if kind == START:
            return self.start
        return Candidate(components={name: self._component(name, at) for name in NAMES})

    def turned(self, values: Mapping[str, object]) -> dict[str, Value]:
        """The knobs that make a difference at these values, each by itself, and where they stand."""
        at, rest = settled(self.knobs, values), defaults(self.knobs)
        here = self.candidate_of(at)
        moved = {name: value for name, value in at.items() if value != rest[name]}
        return {name: at[name] for name in moved if self.candidate_of({**at, name: rest[name]}) != here}

    def hypothesis(self, values: Mapping[str, object]) -> str:
        """What trying these values asks, in one sentence."""
        rest = defaults(self.knobs)
        turned = self.turned(values)
        said = [f"{name} {_shown(value)} (start: {_shown(rest[name])})" for name, value in turned.items()]
        more = f" and {len(said) - MOST_SAID} more" if len(said) > MOST_SAID else ""
        if not said:
            return "The start itself."
        return f"A controller with {', '.join(said[:MOST_SAID])}{more} does what nothing on the front does better."

    def _kinds(self) -> tuple[str, ...]:
        """The kinds of controller, that of the start first."""
        ruled = set(self.start.components) == set(NAMES)
        return (RULES, *self.sketches) if ruled else (START, RULES, *self.sketches)

    def _tiers(self, name: PolicyName) -> tuple[str, ...]:
        """Who may decide; a component of the start that is no list of rules is kept as it is."""
        kept = (START,) if name in self.start.components and name not in self._lists.own else ()
        return (*kept, "rule", *(("frontier", "resident") if self.lm is not None else ()))

    def _component(self, name: PolicyName, at: Mapping[str, Value]) -> str:
        tier = str(at.get(f"{name}.tier", self._tiers(name)[0]))
        if tier == START:
            return self.start.components[name]
        if tier != "rule":
            assert self.lm is not None
            return lm_component(name, self.lm, tier="resident" if tier == "resident" else "frontier")
        writers: Mapping[PolicyName, Callable[[Mapping[str, Value]], RuleList]] = {
            "stop": self._lists.stop,
            "topology": self._lists.topology,
            "steer": self._lists.steer,
        }
        rules = writers[name](at)
        return self.start.components[name] if rules == self._lists.own.get(name) else RulePolicy(rules).text

    def _lists_knobs(self) -> Mapping[PolicyName, tuple[Knob, ...]]:
        lists = self._lists
        return {"stop": lists.stop_knobs(), "topology": lists.topology_knobs(), "steer": lists.steer_knobs()}

    @cached_property
    def _lists(self) -> Lists:
        own: Mapping[PolicyName, RuleList] = {
            name: rules for name in NAMES if (rules := _rules_of(self.start, name)) is not None
        }
        return Lists(self.space, self.attempts, own)


def _rules_of(candidate: Candidate, name: PolicyName) -> RuleList | None:
    """The decision list of a component; None where it is missing or something else."""
    try:
        return parse_rules(candidate.components[name]) if name in candidate.components else None
    except UsageError:
        return None


def _shown(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
