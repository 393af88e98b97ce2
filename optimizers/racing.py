"""Races: on how many tasks a candidate is looked at, one look after the other, and when it is out or has won.

A candidate is evaluated on growing prefixes of the val tasks, each twice the one before (successive halving: Karnin,
Koren & Somekh 2013; Jamieson & Talwalkar 2016). Candidates come one at a time, so none is dropped for its rank among
others: as in a Hoeffding race (Maron & Moore 1994) it is out when a confidence bound says that it is no better than
what it came from. The bound is Student's t on paired differences over tasks. The empirical Bernstein bound (Maurer &
Pontil 2009), which needs no assumption, cannot decide here: its range term alone, 7 R ln(2/delta) / 3 (n - 1) with
differences on [-1, 1], is 0.8 at n = 18 and delta = 0.1, and falls below 0.1 from n = 141 on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from optimizers.vectors import Floats, paired_rows, worth_keeping


class Race(Protocol):
    """One rule of acceptance: a function of the scores, without chance and without memory.

    Both sides come as `N x M` tables over the same tasks and objectives, NaN = not measured.
    """

    @property
    def repeats(self) -> int:
        """The most rollouts of one live task, where the same candidate earns much or little on it by chance."""

    def rungs(self, tasks: int) -> tuple[int, ...]:
        """How many val tasks each look covers; the last covers all."""

    def plausible(self, child_N_M: Floats, rival_N_M: Floats) -> bool:
        """Before all tasks are seen: whether the child may still be better than the rival, on the same tasks."""

    def wins(self, child_N_M: Floats, rival_N_M: Floats) -> bool:
        """On all tasks: whether the child is kept beside this rival."""


@dataclass(frozen=True)
class Halving:
    """Looks at a quarter, a half and all of the tasks.

    Before the last look a candidate is out when on no objective the upper bound of its mean difference to the rival is
    above 0. If it is truly better on some objective, that happens with probability `doubt` at most, both looks
    together, as far as the t bound holds. On all tasks it is out when its mean vector is dominated by the rival's or
    equal to it; `credible` asks for more: a lower bound above 0 on some objective.
    """

    shares: tuple[float, ...] = (0.25, 0.5)
    doubt: float = 0.1
    credible: float | None = None
    "one-sided error of the lower bound on all tasks; None: the means alone decide"
    repeats: int = 2

    def rungs(self, tasks: int) -> tuple[int, ...]:
        """Looks on fewer than two tasks say nothing and are left out."""
        early = sorted({round(share * tasks) for share in self.shares})
        return (*(size for size in early if 2 <= size < tasks), tasks)

    def plausible(self, child_N_M: Floats, rival_N_M: Floats) -> bool:
        """Whether on some objective the upper bound of the mean difference is above 0; yes where nothing is paired."""
        differences_N_M = paired(child_N_M, rival_N_M)
        if len(differences_N_M) < 2:
            return True
        delta = self.doubt / max(1, len(self.shares))
        return any(upper_bound(column, delta) > 0 for column in differences_N_M.T)

    def wins(self, child_N_M: Floats, rival_N_M: Floats) -> bool:
        """Whether the means speak for it, and where asked for the bound too."""
        if not worth_keeping(child_N_M, rival_N_M):
            return False
        if self.credible is None:
            return True
        # Better on some of M objectives by chance is M times as likely as on one.
        differences_N_M, delta = paired(child_N_M, rival_N_M), self.credible / child_N_M.shape[1]
        return any(-upper_bound(-column, delta) > 0 for column in differences_N_M.T)


@dataclass(frozen=True)
class AllAtOnce:
    """One look at all tasks; kept unless the means say that the rival is at least as good everywhere."""

    repeats: int = 1

    def rungs(self, tasks: int) -> tuple[int, ...]:
        """All tasks."""
        return (tasks,)

    def plausible(self, child_N_M: Floats, rival_N_M: Floats) -> bool:
        """There is no earlier look."""
        return True

    def wins(self, child_N_M: Floats, rival_N_M: Floats) -> bool:
        """By the means."""
        return worth_keeping(child_N_M, rival_N_M)


DEFAULT: Final = Halving()


def paired(child_N_M: Floats, rival_N_M: Floats) -> Floats:
    """`N x M` differences child - rival, of the tasks on which both have every value."""
    differences_N_M: Floats = (child_N_M - rival_N_M)[paired_rows(child_N_M, rival_N_M)]
    return differences_N_M


def upper_bound(differences_N: Floats, delta: float) -> float:
    """The upper confidence bound of a mean of differences on [-1, 1], one-sided error `delta`; infinite below n = 2.

    Student's t. Where nothing varies that has no width, and the rule of three speaks instead: values not met in n
    tasks have probability 1 - delta^(1/n) at most, and could be as good as 1 (Hanley & Lippman-Hand 1983).
    """
    from scipy.special import stdtrit

    n = len(differences_N)
    if n < 2:
        return float("inf")
    mean, spread = float(differences_N.mean()), float(differences_N.std(ddof=1))
    if spread <= 1e-12:
        unseen: float = 1.0 - delta ** (1.0 / n)
        return mean + (1.0 - mean) * unseen
    width: float = float(stdtrit(n - 1, 1.0 - delta)) * spread / n**0.5
    return mean + width
