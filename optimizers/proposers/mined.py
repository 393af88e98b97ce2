"""The proposer without a model: it mines recorded moves for one rule edit, and says what speaks for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from controllers.policies.rule import Condition, Rule, parse_rules
from optimizers.journal import Proposal
from optimizers.reflection import Reflection
from optimizers.space import Space, with_default, with_rule
from signatures.digest import seed_of
from signatures.records import Candidate, Cost, PolicyName

LEAST_ROWS: Final = 8
"""Moves on each side of a comparison below which it says nothing."""
SHORTLIST: Final = 6
"""The strongest edits, one of which is drawn: repeated proposals from one parent should differ."""
HOPELESS: Final = 0.05
"""Share of further attempts that improved anything, below which stopping is proposed."""


class Finding(NamedTuple):
    """One edit and the evidence for it; `strength` is a z score over moves."""

    when: tuple[Condition, ...]
    action: str
    strength: float
    evidence: str


class MinedProposer:
    """Compares, among moves that share a condition, each action with what the candidate does now.

    The comparison is of mean gains by the checkers (Welch's z over moves). It ranks edits to try; it proves
    nothing: acceptance is the evaluator's, and the moves are not independent.
    """

    name = "mined"

    def __init__(self, space: Space) -> None:
        self.space = space

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        """One of the strongest edits, drawn by `seed`; None where no comparison has enough moves."""
        rows = [record for record in records if record.policy == component]
        find = self._stops if component == "stop" else self._switches
        findings = sorted(find(candidate, component, rows), key=lambda f: -f.strength)
        edits = ((finding, _edited(candidate, component, finding)) for finding in findings)
        changes = list(islice(((f, text) for f, text in edits if text != candidate.components[component]), SHORTLIST))
        if not changes:
            return None, Cost()
        rng = random.Random(seed_of("mined", seed, candidate.digest, component))
        chosen, text = rng.choices(changes, weights=[f.strength for f, _ in changes])[0]
        return Proposal(text=text, evidence=chosen.evidence, proposer=self.name), Cost()

    def _switches(self, candidate: Candidate, component: PolicyName, rows: Sequence[Reflection]) -> list[Finding]:
        choice = current_choice(candidate, component)
        actions = [row.action for row in rows]
        stays_N = np.array([choice(row.features) == row.action for row in rows], dtype=bool)
        gains_N = np.array([row.gain for row in rows], dtype=np.float64)
        found: list[Finding] = []
        for when, mask_N in self._masks(rows):
            now_N = gains_N[mask_N & stays_N]
            for action in self.space.actions[component]:
                takes_N = np.array([a == action for a in actions], dtype=bool)
                then_N = gains_N[mask_N & takes_N & ~stays_N]
                if len(now_N) < LEAST_ROWS or len(then_N) < LEAST_ROWS:
                    continue
                strength = welch_z(then_N, now_N)
                if strength > 0.5:
                    found.append(Finding(when, action, strength, _compared(when, action, then_N, now_N)))
        return found

    def _stops(self, candidate: Candidate, component: PolicyName, rows: Sequence[Reflection]) -> list[Finding]:
        choice = current_choice(candidate, component)
        rows = [row for row in rows if choice(row.features) != "done"]
        gains_N = np.array([row.gain for row in rows], dtype=np.float64)
        turns_N = np.array([row.turns for row in rows], dtype=np.float64)
        found: list[Finding] = []
        for when, mask_N in self._masks(rows):
            n = int(mask_N.sum())
            if not when or n < LEAST_ROWS:
                continue
            improved = float((gains_N[mask_N] > 0).mean())
            if improved <= HOPELESS:
                text = f"where {_said(when)}, {improved:.0%} of {n} further attempts improved `correct`"
                saved = float(turns_N[mask_N].mean())
                found.append(Finding(when, "done", n**0.5, f"{text}; stopping saves {saved:.1f} turns each"))
        return found

    def _masks(self, rows: Sequence[Reflection]) -> list[tuple[tuple[Condition, ...], npt.NDArray[np.bool_]]]:
        if not rows:
            return []
        masks: list[tuple[tuple[Condition, ...], npt.NDArray[np.bool_]]] = [((), np.ones(len(rows), dtype=bool))]
        for condition in self.space.conditions():
            holds_N = np.array([condition.holds(row.features) for row in rows], dtype=bool)
            if 0 < holds_N.sum() < len(rows):
                masks.append(((condition,), holds_N))
        return masks


def _edited(candidate: Candidate, component: PolicyName, finding: Finding) -> str:
    if not finding.when:
        return with_default(candidate, component, finding.action).components[component]
    rule = Rule(when=finding.when, then={finding.action: 1.0})
    return with_rule(candidate, component, rule).components[component]


def current_choice(candidate: Candidate, component: PolicyName) -> Callable[[Mapping[str, float]], str]:
    """What the candidate's decision list would choose for given features. Raises UsageError for a model's component."""
    rules = parse_rules(candidate.components[component])

    def choose(features: Mapping[str, float]) -> str:
        for rule in rules.rules:
            if all(condition.holds(features) for condition in rule.when):
                return max(rule.then, key=lambda action: rule.then[action])
        return max(rules.otherwise, key=lambda action: rules.otherwise[action])

    return choose


def welch_z(a_N: npt.NDArray[np.float64], b_N: npt.NDArray[np.float64]) -> float:
    """Welch's statistic of mean(a) - mean(b); where neither side varies, 8 times the sign of the difference."""
    difference = float(a_N.mean() - b_N.mean())
    error = float(np.sqrt(a_N.var(ddof=1) / len(a_N) + b_N.var(ddof=1) / len(b_N)))
    return difference / error if error > 0 else 8.0 * float(np.sign(difference))


def _compared(
    when: tuple[Condition, ...], action: str, then_N: npt.NDArray[np.float64], now_N: npt.NDArray[np.float64]
) -> str:
    where = f"where {_said(when)}, " if when else ""
    return (
        f"{where}`{action}` changed `correct` by {then_N.mean():+.3f} over {len(then_N)} moves, "
        f"what is done now by {now_N.mean():+.3f} over {len(now_N)}"
    )


def _said(when: tuple[Condition, ...]) -> str:
    return " and ".join(f"{c.feature} {c.op} {c.value:g}" for c in when)
