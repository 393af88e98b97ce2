"""How one objective changed: improved, regressed, flat within its registered margin, or too few tasks to tell."""

from __future__ import annotations

import math

from optimizers.gate.records import Change, Evidence
from signatures.errors import UsageError


def change_of(evidence: Evidence, margin: float = 0.0, *, alpha: float = 0.025) -> Change:
    """What the evidence shows, each claim at one-sided level `alpha`; `margin` is in units of the value.

    improved: better than no difference, after Benjamini-Hochberg where the family has a q. regressed: worse, and by
    more than the margin. flat: not worse by more than the margin. too few: the interval still holds a loss beyond
    the margin. With a margin of 0 nothing is ever flat, since an interval has a width. Being better or worse at all
    is the exact or betting test's to say, since an interval that is only shown may exclude 0 too early; the interval
    says how far. Raises UsageError where the margin is negative or not finite.
    Source: Piaggio et al. 2012, CONSORT for non-inferiority trials, figure 1.
    """
    if not (math.isfinite(margin) and margin >= 0):
        raise UsageError(f"margin {margin} of {evidence.objective}: it must be 0 or more")
    if (evidence.p if evidence.q is None else evidence.q) <= alpha:
        return "improved"
    if evidence.p_harm <= alpha and (margin == 0 or _below(_sure(evidence)[1], -margin)):
        return "regressed"
    if non_inferior(evidence, margin):
        return "flat"
    return "too few"


def non_inferior(evidence: Evidence, margin: float) -> bool:
    """Whether an interval that is valid at any n excludes every loss larger than a margin above 0.

    Tango's interval of pass/fail is not such a one: at a true loss of the margin it would call 5 % of them flat.
    """
    lo, _ = _sure(evidence)
    return margin > 0 and lo is not None and lo >= -margin


def _sure(evidence: Evidence) -> tuple[float | None, float | None]:
    if evidence.kind == "pass/fail":
        return evidence.sure_lo, evidence.sure_hi
    return evidence.lo, evidence.hi


def _below(end: float | None, limit: float) -> bool:
    return end is not None and end < limit
