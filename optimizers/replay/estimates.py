"""What an estimator answers: an estimate with all that says how far to trust it, or a refusal with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from signatures.errors import NoSupport
from signatures.records import Finite, NonNegative, Probability, Record

MIN_ESS: Final = 100.0
"""Effective episodes below which an importance-weighted estimate is refused."""
MAX_UNSUPPORTED: Final = 0.05
"""Probability of unrecorded behaviour above which any estimate is refused."""


class Support(Record):
    """What an estimate rests on."""

    n: int = Field(ge=0)
    "episodes, or for tree replay recorded tasks"
    tasks: int = Field(ge=0)
    left_out: int = Field(default=0, ge=0)
    "episodes without an outcome: infrastructure, a judge or a checker that could not say"
    ess: NonNegative
    "effective sample size, (sum w)^2 / sum w^2"
    largest_share: Probability
    "of one weight in the sum of all"
    unsupported: Probability
    "probability that the candidate does what the record could not hold"
    mean_weight: NonNegative | None = None
    "1 - unsupported is expected where propensities are right; None where nothing is weighted"
    mean_weight_se: NonNegative | None = None

    @property
    def audited(self) -> bool | None:
        """Whether the mean weight is within three standard errors of what it must be; None if nothing is weighted."""
        if self.mean_weight is None or self.mean_weight_se is None:
            return None
        return abs(self.mean_weight - (1 - self.unsupported)) <= 3 * self.mean_weight_se + 1e-9


class Bound(Record):
    """A value on [0, 1] with its 95 % interval, widened by what is unsupported; None: too few tasks for one."""

    value: Finite
    lo: Finite | None
    hi: Finite | None


class Estimate(Record):
    """The value of one candidate, objective by objective."""

    candidate: str
    estimator: str
    values: Mapping[str, Bound]
    support: Support


class Refusal(Record):
    """No value: what the record lacks for this candidate, in words that say what to collect."""

    candidate: str
    estimator: str
    reason: str
    support: Support | None = None


def require(answer: Estimate | Refusal) -> Estimate:
    """The estimate. Raises NoSupport with the refusal's reason."""
    if isinstance(answer, Refusal):
        raise NoSupport(f"{answer.candidate}: {answer.estimator}: {answer.reason}")
    return answer


def widened(value: float, lo: float | None, hi: float | None, unsupported: float) -> Bound:
    """An interval on the supported part, with the unsupported share anywhere between 0 and 1.

    `value` is kept; the ends become (1 - u) lo and (1 - u) hi + u, clipped to [0, 1] and never inside `value`'s side.
    The assumption-free bound of Manski 1990: it widens with u and needs no model of what was not seen.
    """
    if lo is None or hi is None:
        return Bound(value=value, lo=None, hi=None)
    low, high = (1 - unsupported) * lo, (1 - unsupported) * hi + unsupported
    return Bound(value=value, lo=max(0.0, min(low, value)), hi=min(1.0, max(high, value)))
