"""What a gate says: the evidence on one objective, and the decision drawn from all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from pydantic import Field

from signatures.records import Finite, NonNegative, Probability, Record

Decision: TypeAlias = Literal["promote", "hold", "harm", "underpowered", "confounded", "uninformative"]
"""uninformative: no pair differs. confounded: the candidate spent over 5 % more than its control."""
Change: TypeAlias = Literal["improved", "regressed", "flat", "too few"]
"""flat: credibly not worse by more than the registered margin, and not shown to be better."""


class Evidence(Record):
    """One contrast on one objective: candidate - baseline, the task as the unit, its repeats nested in it."""

    objective: str
    kind: Literal["pass/fail", "bounded"]
    "pass/fail: every value is 0 or 1 and no task has a repeat, so exact McNemar decides; else a betting test"
    n: int = Field(ge=0)
    "tasks with both sides"
    missing: int = Field(default=0, ge=0)
    "values without a partner: left out and counted, never a zero"
    wins: int = Field(ge=0)
    losses: int = Field(ge=0)
    "tasks whose difference is above, or below, 0"
    baseline: Finite | None
    candidate: Finite | None
    effect: Finite | None
    "mean difference over tasks; None: no task"
    sd: NonNegative | None
    "of the tasks' differences"
    lo: Finite | None
    hi: Finite | None
    "two-sided interval of the effect at 1 - 2 alpha: betting for bounded, Tango's score interval for pass/fail"
    sure_lo: Finite | None = None
    sure_hi: Finite | None = None
    "the betting interval at 1 - 2 alpha, whatever `kind`: what margins are decided on; None: as `lo` and `hi`"
    shown_lo: Finite | None
    shown_hi: Finite | None
    "bootstrap over tasks: shown, decides nothing"
    e_value: NonNegative
    "one-sided, against a mean difference of at most 0"
    p: Probability
    "one-sided, that decides: exact McNemar; else 1 / e_value above alpha, and below it the finest level a bet reaches"
    p_harm: Probability
    "the same for a mean difference of at least 0"
    q: Probability | None = None
    "after Benjamini-Hochberg within the registered family"
    min_p: Probability
    "the least p that so many discordant tasks could have given"
    mde: NonNegative | None
    "difference that n tasks of this spread show with 80 % power, by the test that decides; None: not even the range"
    power: Mapping[str, Probability]
    "power at n by the difference in units of the value: 5 and 10 % of its range, and the registered smallest effect"
    pairs_needed: int | None = None
    "for 80 % power at the smallest effect of interest, one-sided"

    @property
    def discordant(self) -> int:
        """Tasks whose difference is not 0."""
        return self.wins + self.losses


class Decided(Record):
    """One decision with its reasons."""

    decision: Decision
    reasons: tuple[str, ...] = Field(min_length=1)
    "in words, the one that decided first"
    changes: Mapping[str, Change]
    "by objective"
    evidence: tuple[Evidence, ...]
    "the primary objective first"
