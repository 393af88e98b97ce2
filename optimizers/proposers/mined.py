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
ALL_LEARNED: Final = 400
"""Learned moves of a policy that every proposal looks at; of more, half are drawn, so that proposals still differ."""
MOST_LEARNED: Final = 4_000
"""Learned moves of a policy that one proposal looks at."""


class Finding(NamedTuple):
    """One edit and the evidence for it; `strength` is a z score over moves."""

    when: tuple[Condition, ...]
    action: str
    strength: float
    evidence: str


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
        """One of the strongest edits, drawn by `seed`; None where no comparison has enough moves."""
        rows = [record for record in records if record.policy == component]
        rows += self._drawn(candidate, component, seed)
        find = self._stops if component == "stop" else self._switches
        findings = sorted(find(candidate, component, rows), key=lambda f: -f.strength)
        edits = ((finding, _edited(candidate, component, finding)) for finding in findings)
        changes = list(islice(((f, text) for f, text in edits if text != candidate.components[component]), SHORTLIST))
        if not changes:
            return None, Cost()
        rng = random.Random(seed_of("mined", seed, candidate.digest, component))
        chosen, text = rng.choices(changes, weights=[f.strength for f, _ in changes])[0]
        return Proposal(text=text, evidence=chosen.evidence, proposer=self.name), Cost()

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

    def _switches(self, candidate: Candidate, component: PolicyName, rows: Sequence[Reflection]) -> list[Finding]:
        choice = current_choice(candidate, component)
        actions = [row.action for row in rows]
        stays_N = np.array([choice(row.features) == row.action for row in rows], dtype=bool)
        gains_N = np.array([row.gain for row in rows], dtype=np.float64)
        places = Places(rows)
        takes_A_N = {
            a: np.array([a == action for action in actions], dtype=bool) for a in self.space.actions[component]
        }
        found: list[Finding] = []
        for when, mask_N in self._masks(rows):
            for action, takes_N in takes_A_N.items():
                then_N, now_N = places.comparable(mask_N & takes_N & ~stays_N, mask_N & stays_N)
                if now_N.sum() < LEAST_ROWS or then_N.sum() < LEAST_ROWS:
                    continue
                strength = places.z(gains_N, then_N, now_N)
                if strength > 0.5:
                    text = _compared(when, action, gains_N[then_N], gains_N[now_N]) + _learned(rows, then_N | now_N)
                    found.append(Finding(when, action, strength, text))
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
                text += _learned(rows, mask_N)
                saved = float(turns_N[mask_N].mean())
                found.append(Finding(when, "done", n**0.5, f"{text}; stopping saves {saved:.1f} turns each"))
        return found

    def _masks(self, rows: Sequence[Reflection]) -> list[tuple[tuple[Condition, ...], npt.NDArray[np.bool_]]]:
        if not rows:
            return []
        masks: list[tuple[tuple[Condition, ...], npt.NDArray[np.bool_]]] = [((), np.ones(len(rows), dtype=bool))]
        values_F_N = {
            name: np.array([row.features.get(name, np.nan) for row in rows], dtype=np.float64)
            for name in self.space.thresholds
        }
        for condition in self.space.conditions():
            seen_N = values_F_N[condition.feature]  # NaN where it was not observed: then no condition on it holds
            holds_N = seen_N <= condition.value if condition.op == "<=" else seen_N > condition.value
            if 0 < holds_N.sum() < len(rows):
                masks.append(((condition,), holds_N))
        return masks


class Places:
    """Where moves were made: each kind of `origin` is a place, the search's own tasks one of them."""

    def __init__(self, rows: Sequence[Reflection]) -> None:
        origins = [row.origin for row in rows]
        self.masks_P_N = [np.array([one == origin for one in origins], dtype=bool) for origin in sorted(set(origins))]

    def comparable(
        self, then_N: npt.NDArray[np.bool_], now_N: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Both sides without the places that hold fewer than two moves of either; of one place both as they are."""
        if len(self.masks_P_N) < 2:
            return then_N, now_N
        kept_N = np.zeros(len(then_N), dtype=bool)
        for place_N in self.masks_P_N:
            if (then_N & place_N).sum() > 1 and (now_N & place_N).sum() > 1:
                kept_N |= place_N
        return then_N & kept_N, now_N & kept_N

    def z(self, gains_N: npt.NDArray[np.float64], then_N: npt.NDArray[np.bool_], now_N: npt.NDArray[np.bool_]) -> float:
        """Welch's statistic; of several places that of the mean difference, each weighted by n m / (n + m).

        The weights are Cochran's (1954). Both sides must be comparable.
        """
        pairs = [(gains_N[then_N & place_N], gains_N[now_N & place_N]) for place_N in self.masks_P_N]
        pairs = [(then, now) for then, now in pairs if len(then) and len(now)]
        if len(pairs) == 1:
            return welch_z(*pairs[0])
        weights = [len(a) * len(b) / (len(a) + len(b)) for a, b in pairs]
        variances = [a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b) for a, b in pairs]
        difference = float(sum(w * (a.mean() - b.mean()) for w, (a, b) in zip(weights, pairs, strict=True)))
        error = float(np.sqrt(sum(w * w * v for w, v in zip(weights, variances, strict=True))))
        return difference / error if error > 0 else 8.0 * float(np.sign(difference))


def _learned(rows: Sequence[Reflection], mask_N: npt.NDArray[np.bool_]) -> str:
    """How many of these moves were learned, and from where; nothing where none was."""
    origins = [origin for row, chosen in zip(rows, mask_N, strict=True) if chosen and (origin := row.origin)]
    return f" ({len(origins)} of these moves learned from {', '.join(sorted(set(origins)))})" if origins else ""


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
