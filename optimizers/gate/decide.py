"""From evidence to one decision, with its reasons in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Final, Self, TypeAlias

from pydantic import Field, model_validator

from optimizers.gate.exact import Sides
from optimizers.gate.pareto import change_of
from optimizers.gate.power import mcnemar_pairs, pairs_needed
from optimizers.gate.records import Change, Decided, Decision, Evidence
from signatures.records import Finite, NonNegative, Record

ENOUGH_POWER: Final = 0.5
"""Below this power for the registered smallest effect nothing is promoted: a lucky winner overstates itself."""

_SIDES: Final[tuple[Sides, ...]] = (1, 2)

Changes: TypeAlias = Mapping[str, Change]
Answer: TypeAlias = "tuple[Decision, tuple[str, ...]]"


class Question(Record):
    """All that one decision rests on."""

    evidence: tuple[Evidence, ...] = Field(min_length=1)
    "the primary objective first"
    margins: Mapping[str, NonNegative] = Field(default_factory=dict)
    "by objective, registered beforehand, in units of its value: the loss that is tolerated; none: 0, so none is"
    alpha: Finite = Field(default=0.025, gt=0, lt=0.5)
    "one-sided"
    min_effect: Finite | None = Field(default=None, gt=0)
    "smallest effect of interest on the primary objective, in units of its value; None: not registered"
    confounded: tuple[str, ...] = ()
    "why the spend of the two arms cannot be compared"
    cheaper: bool = False
    "the candidate saves turns, tokens or usd, by an interval that excludes 0"
    same: bool = False
    "candidate and baseline have one digest"
    missing: int = Field(default=0, ge=0)
    "values that should be there and are not, those that the evidence left out among them"
    excluded: int = Field(default=0, ge=0)
    "of them, those that infrastructure failures explain, found to be balanced between the arms"
    points: Mapping[str, Annotated[Finite, Field(gt=0)]] = Field(default_factory=dict)
    "by objective, for the words alone: points in one unit of its value; none: 100, as on the range 0 to 1"

    @property
    def primary(self) -> Evidence:
        """The evidence that a promotion must rest on."""
        return self.evidence[0]

    @model_validator(mode="after")
    def _one_evidence_per_objective(self) -> Self:
        names = [one.objective for one in self.evidence]
        if len(set(names)) < len(names):
            raise ValueError(f"an objective has evidence twice: {', '.join(names)}")
        if unknown := sorted({*self.margins, *self.points} - set(names)):
            raise ValueError(f"a margin or points for {', '.join(unknown)}, of which there is no evidence")
        return self


def decide(question: Question) -> Decided:
    """The first rule that applies: identity, missing verdicts, harm, confounding, no discordant pair, power for the
    smallest effect, promotion, too few discordant tasks to reach alpha at all, and else hold.

    Promotion: the primary objective improved (q, or p without a family, at most alpha) and each other one credibly
    not worse by more than its margin; or all of them not worse, and the candidate is cheaper.
    """
    changes = {
        one.objective: change_of(one, question.margins.get(one.objective, 0.0), alpha=question.alpha)
        for one in question.evidence
    }
    answers = (rule(question, changes) for rule in _RULES)
    decision, reasons = next((answer for answer in answers if answer), _hold(question, changes))
    return Decided(decision=decision, reasons=reasons, changes=changes, evidence=question.evidence)


def _same(question: Question, changes: Changes) -> Answer | None:
    if not question.same:
        return None
    return "hold", ("candidate and baseline are the same program: a difference between them is luck",)


def _missing(question: Question, changes: Changes) -> Answer | None:
    lost = max(question.missing, *(one.missing for one in question.evidence))
    if lost <= question.excluded:
        return None
    return "hold", (f"blocked: {lost - question.excluded} values are missing, and a missing value is not a 0",)


def _harm(question: Question, changes: Changes) -> Answer | None:
    reasons = []
    if question.primary.p_harm <= question.alpha:
        reasons.append(f"{_summary(question, question.primary)}, p of harm = {_p(question.primary.p_harm)}")
    for one in question.evidence[1:]:
        if changes[one.objective] == "regressed":
            reasons.append(f"worse than its margin of {_margin(question, one)} allows: {_summary(question, one)}")
    return ("harm", tuple(reasons)) if reasons else None


def _confounded(question: Question, changes: Changes) -> Answer | None:
    return ("confounded", question.confounded) if question.confounded else None


def _uninformative(question: Question, changes: Changes) -> Answer | None:
    primary = question.primary
    if primary.discordant or _as_good_and_cheaper(question, changes):
        return None
    if not primary.n:
        return "uninformative", (f"no task has both sides of {primary.objective}",)
    return "uninformative", (f"no discordant pair: all {primary.n} differences of {primary.objective} are 0",)


def _underpowered(question: Question, changes: Changes) -> Answer | None:
    """The smallest effect of interest would be missed more often than found, however small p is."""
    if question.min_effect is None:
        return None
    power = power_for(question.primary, question.min_effect)
    if power is not None and power >= ENOUGH_POWER:
        return None
    return "underpowered", (_power_words(question, power), _summary(question, question.primary))


def _better(question: Question, changes: Changes) -> Answer | None:
    primary = question.primary
    if changes[primary.objective] != "improved" or not _others_hold(question, changes):
        return None
    others = tuple(f"{name}: {changes[name]}" for name in changes if name != primary.objective)
    return "promote", (f"better: {_summary(question, primary)}", *others)


def _cheaper(question: Question, changes: Changes) -> Answer | None:
    if not _as_good_and_cheaper(question, changes):
        return None
    return "promote", (f"not worse, and cheaper: {_summary(question, question.primary)}",)


def _unreachable(question: Question, changes: Changes) -> Answer | None:
    """No result of so many discordant tasks could have reached alpha."""
    primary = question.primary
    if primary.min_p <= question.alpha:
        return None
    few = f"{primary.discordant} discordant of {primary.n} tasks can give no p below {_p(primary.min_p)}"
    return "underpowered", (f"{few}, and {question.alpha:g} is asked", _summary(question, primary))


def _hold(question: Question, changes: Changes) -> Answer:
    primary = question.primary
    if changes[primary.objective] != "improved":
        return "hold", (f"not shown to be better: {_summary(question, primary)}",)
    unsure = [one for one in question.evidence[1:] if changes[one.objective] == "too few"]
    reasons = tuple(_unsure(question, one) for one in unsure)
    return "hold", (*reasons, f"better on {primary.objective} alone: {_summary(question, primary)}")


_RULES: Final[tuple[Callable[[Question, Changes], Answer | None], ...]] = (
    _same,
    _missing,
    _harm,
    _confounded,
    _uninformative,
    _underpowered,
    _better,
    _cheaper,
    _unreachable,
)


def _others_hold(question: Question, changes: Changes) -> bool:
    return all(changes[one.objective] in ("improved", "flat") for one in question.evidence[1:])


def _as_good_and_cheaper(question: Question, changes: Changes) -> bool:
    not_worse = changes[question.primary.objective] in ("improved", "flat")
    return question.cheaper and not_worse and _others_hold(question, changes)


def _unsure(question: Question, one: Evidence) -> str:
    if not question.margins.get(one.objective):
        return f"no margin is registered for {one.objective}: {_summary(question, one)}"
    return f"too few tasks to exclude a loss beyond the margin of {_margin(question, one)}: {_summary(question, one)}"


def power_for(evidence: Evidence, effect: float) -> float | None:
    """The evidence's power for a difference of `effect`; None where it holds none, which is as good as no power."""
    found = (power for key, power in evidence.power.items() if math.isclose(float(key), effect, abs_tol=1e-12))
    return next(found, None)


def _power_words(question: Question, power: float | None) -> str:
    primary, effect = question.primary, question.min_effect or 0.0
    head = "promising, underpowered" if primary.p <= question.alpha else "underpowered"
    tail = "" if power is None else f"; {primary.n} pairs have power {power:.2f}{_exact_words(question, effect)}"
    if not primary.sd:
        return f"{head}: the {primary.n} pairs show no spread to plan with{tail}"
    pairs = _pairs_words(question, effect, primary.sd)
    return f"{head}: at that spread {effect * _points(question, primary):.3g} points need {pairs}{tail}"


def _exact_words(question: Question, effect: float) -> str:
    """What the test that decides needs: of few pairs of pass and fail the normal approximation promises too much."""
    primary = question.primary
    if primary.kind != "pass/fail" or not effect > 0:
        return ""
    share = (primary.wins + primary.losses) / primary.n
    needed = mcnemar_pairs(effect, share, alpha=question.alpha)
    return "" if needed is None else f" in the exact test, which needs about {_rounded(needed):,}"


def _pairs_words(question: Question, effect: float, sd: float) -> str:
    """Rounded to five, since a plan is no more exact; both at the level 2 alpha, of which each side has alpha."""
    counts = (pairs_needed(effect, sd, alpha=2 * question.alpha, sides=sides) or 0 for sides in _SIDES)
    one, two = (_rounded(count) for count in counts)
    return f"about {one:,} pairs one-sided, {two:,} two-sided"


def _rounded(count: int) -> int:
    return count if count < 100 else 5 * round(count / 5)


def _summary(question: Question, one: Evidence) -> str:
    """`correct +13.2 points [+1.0, +25.3], p = 0.0207, n = 76, 20 discordant`."""
    if one.effect is None:
        return f"{one.objective} has no pair"
    by = _points(question, one)
    interval = "" if one.lo is None or one.hi is None else f" [{one.lo * by:+.1f}, {one.hi * by:+.1f}]"
    level = f"p = {_p(one.p)}" if one.q is None else f"p = {_p(one.p)}, q = {_p(one.q)}"
    return f"{one.objective} {one.effect * by:+.1f} points{interval}, {level}, n = {one.n}, {one.discordant} discordant"


def _margin(question: Question, one: Evidence) -> str:
    return f"{question.margins.get(one.objective, 0.0) * _points(question, one):.3g} points"


def _points(question: Question, one: Evidence) -> float:
    return question.points.get(one.objective, 100.0)


def _p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else f"{p:.1e}"
