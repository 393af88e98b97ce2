"""The proposer without a model: it mines recorded moves for one rule edit, and says what speaks for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from controllers.policies.rule import Condition, Rule, parse_rules
from controllers.program import NAMES
from optimizers.evidence.comparing import HOPELESS, LEAST_ROWS, Places, masks_of, where_said
from optimizers.evidence.reflection import Reflection
from optimizers.journal import Proposal
from optimizers.space import Space, with_default, with_rule
from signatures.digest import seed_of
from signatures.records import Candidate, Cost, PolicyName

SHORTLIST: Final = 6
"""The strongest edits, one of which is drawn: repeated proposals from one parent should differ."""
ALL_LEARNED: Final = 400
"""Learned moves of a policy that every proposal looks at; of more, half are drawn, so that proposals still differ."""
MOST_LEARNED: Final = 4_000
"""Learned moves of a policy that one proposal looks at."""


class Edit(NamedTuple):
    """One edit, the evidence for it and what it is expected to do; `strength` is a z score over moves."""

    when: tuple[Condition, ...]
    action: str
    strength: float
    evidence: str
    hypothesis: str


class MinedProposer:
    """Compares, among moves that share a condition, each action with what the candidate does now.

    The comparison is of mean gains by the checkers (Welch's z over moves). It ranks edits to try; it proves
    nothing: acceptance is the evaluator's, and the moves are not independent. What was `learned` elsewhere is
    compared with what was learned at the same place only, and the differences are averaged: production and trees meet
    other tasks and draw other moves, and a difference between places would pass for one between actions.
    """

    name = "mined"

    def __init__(self, space: Space, learned: Sequence[Reflection] = ()) -> None:
        self.space = space
        self.learned = tuple(learned)

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        """One of the strongest edits, drawn by `seed`; None where no comparison has enough moves, and for a program."""
        if component not in candidate.components or component not in NAMES:
            return None, Cost()
        rows = [record for record in records if record.policy == component]
        rows += self._drawn(candidate, component, seed)
        find = self._stops if component == "stop" else self._switches
        edits = sorted(find(candidate, component, rows), key=lambda edit: -edit.strength)
        texts = ((edit, _edited(candidate, component, edit)) for edit in edits)
        changes = list(islice(((e, text) for e, text in texts if text != candidate.components[component]), SHORTLIST))
        if not changes:
            return None, Cost()
        rng = random.Random(seed_of("mined", seed, candidate.digest, component))
        chosen, text = rng.choices(changes, weights=[edit.strength for edit, _ in changes])[0]
        return Proposal(text=text, evidence=chosen.evidence, proposer=self.name, hypothesis=chosen.hypothesis), Cost()

    def _drawn(self, candidate: Candidate, component: PolicyName, seed: int) -> list[Reflection]:
        """The learned moves that this proposal looks at. Raises UsageError for a model's component."""
        if not self.learned:
            return []
        rules = parse_rules(candidate.components[component]).rules
        named = {condition.feature for rule in rules for condition in rule.when}
        rows = [
            row for row in self.learned if row.policy == component and (not row.foreign or named <= row.features.keys())
        ]
        if len(rows) <= ALL_LEARNED:
            return rows
        rng = random.Random(seed_of("learned", seed, candidate.digest, component))
        chosen = rng.sample(range(len(rows)), min(MOST_LEARNED, max(ALL_LEARNED, len(rows) // 2)))
        return [rows[index] for index in sorted(chosen)]

    def _switches(self, candidate: Candidate, component: PolicyName, rows: Sequence[Reflection]) -> list[Edit]:
        choice = current_choice(candidate, component)
        actions = [row.action for row in rows]
        stays_N = np.array([choice(row.features) == row.action for row in rows], dtype=bool)
        gains_N = np.array([row.gain for row in rows], dtype=np.float64)
        places = Places(rows)
        takes_A_N = {
            a: np.array([a == action for action in actions], dtype=bool) for a in self.space.actions[component]
        }
        found: list[Edit] = []
        for when, mask_N in masks_of(rows, self.space.conditions()):
            for action, takes_N in takes_A_N.items():
                then_N, now_N = places.comparable(mask_N & takes_N & ~stays_N, mask_N & stays_N)
                if now_N.sum() < LEAST_ROWS or then_N.sum() < LEAST_ROWS:
                    continue
                strength = places.z(gains_N, then_N, now_N)
                if strength > 0.5:
                    text = _compared(when, action, gains_N[then_N], gains_N[now_N]) + _learned(rows, then_N | now_N)
                    found.append(
                        Edit(when, action, strength, text, _expected(when, action, gains_N[then_N], gains_N[now_N]))
                    )
        return found

    def _stops(self, candidate: Candidate, component: PolicyName, rows: Sequence[Reflection]) -> list[Edit]:
        choice = current_choice(candidate, component)
        rows = [row for row in rows if choice(row.features) != "done"]
        gains_N = np.array([row.gain for row in rows], dtype=np.float64)
        turns_N = np.array([row.turns for row in rows], dtype=np.float64)
        found: list[Edit] = []
        for when, mask_N in masks_of(rows, self.space.conditions()):
            n = int(mask_N.sum())
            if not when or n < LEAST_ROWS:
                continue
            improved = float((gains_N[mask_N] > 0).mean())
            if improved <= HOPELESS:
                text = f"where {where_said(when)}, {improved:.0%} of {n} further attempts improved `correct`"
                text += _learned(rows, mask_N)
                saved = float(turns_N[mask_N].mean())
                hypothesis = f"Stopping where {where_said(when)} costs no `correct` and saves {saved:.1f} turns a time."
                evidence = f"{text}; stopping saves {saved:.1f} turns each"
                found.append(Edit(when, "done", n**0.5, evidence, hypothesis))
        return found


def _learned(rows: Sequence[Reflection], mask_N: npt.NDArray[np.bool_]) -> str:
    """How many of these moves were learned, and from where; nothing where none was."""
    origins = [origin for row, chosen in zip(rows, mask_N, strict=True) if chosen and (origin := row.origin)]
    return f" ({len(origins)} of these moves learned from {', '.join(sorted(set(origins)))})" if origins else ""


def _edited(candidate: Candidate, component: PolicyName, edit: Edit) -> str:
    if not edit.when:
        return with_default(candidate, component, edit.action).components[component]
    rule = Rule(when=edit.when, then={edit.action: 1.0})
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


def _compared(
    when: tuple[Condition, ...], action: str, then_N: npt.NDArray[np.float64], now_N: npt.NDArray[np.float64]
) -> str:
    where = f"where {where_said(when)}, " if when else ""
    return (
        f"{where}`{action}` changed `correct` by {then_N.mean():+.3f} over {len(then_N)} moves, "
        f"what is done now by {now_N.mean():+.3f} over {len(now_N)}"
    )


def _expected(
    when: tuple[Condition, ...], action: str, then_N: npt.NDArray[np.float64], now_N: npt.NDArray[np.float64]
) -> str:
    where = f" where {where_said(when)}" if when else ""
    difference = then_N.mean() - now_N.mean()
    return f"Choosing `{action}`{where} changes `correct` by {difference:+.3f} a move against what is done now."
