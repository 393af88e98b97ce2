"""Evidence on one objective from its pairs: the test that decides, its interval, its power."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from optimizers.episode_log import Floats
from optimizers.gate.exact import least_p, mcnemar_p, tango_interval
from optimizers.gate.paired import Pairs
from optimizers.gate.power import BettingTest, mcnemar_mde, mcnemar_power, pairs_needed, power_key
from optimizers.gate.records import Evidence
from optimizers.gate.sequential import confidence_interval, e_and_p
from optimizers.intervals import Interval, mean_interval, paired_interval
from signatures.errors import UsageError

POINTS = (0.05, 0.10)
"""Differences whose power every report tells."""


def evidence_of(
    pairs: Pairs, *, alpha: float = 0.025, min_effect: float | None = None, optional_stopping: bool = False
) -> Evidence:
    """The evidence that the candidate's mean is above the baseline's, each side of it at one-sided level `alpha`.

    One repeat of pass/fail: exact McNemar decides and Tango's interval is shown. Else a betting test and its
    interval. A registered number of tasks is bet on with that number as the horizon, in the order of the tasks'
    digests, so that the order of arrival changes nothing. With `optional_stopping` any n may have been the last:
    bets follow the order of arrival, without a horizon, and pass/fail is bet on too, since McNemar's level holds
    at one n only. Raises UsageError on an alpha or a smallest effect that is none.
    """
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha {alpha}: one-sided, it must lie between 0 and 0.5")
    if min_effect is not None and not 0 < min_effect < float("inf"):
        raise UsageError(f"smallest effect of interest {min_effect}: it must be above 0")
    exact = pairs.pass_fail and not optional_stopping
    test = _Test(pairs, alpha, exact=exact, horizon=None if optional_stopping else max(1, len(pairs.tasks)))
    n, sd = len(pairs.tasks), test.sd
    shown = _shown(pairs)
    lo, hi = test.interval()
    e, p, p_harm = test.levels()
    planned = (*POINTS, *(() if min_effect is None else (min_effect,)))
    return Evidence(
        objective=pairs.objective,
        kind="pass/fail" if exact else "bounded",
        n=n,
        missing=pairs.missing,
        wins=test.wins,
        losses=test.losses,
        baseline=float(pairs.baseline_T.mean()) if n else None,
        candidate=float(pairs.candidate_T.mean()) if n else None,
        effect=float(pairs.difference_T.mean()) if n else None,
        sd=sd,
        lo=lo,
        hi=hi,
        shown_lo=shown.lo,
        shown_hi=shown.hi,
        e_value=e,
        p=p,
        p_harm=p_harm,
        min_p=least_p(test.wins + test.losses),
        mde=test.mde(),
        power=test.power(planned),
        pairs_needed=None if min_effect is None or not sd else pairs_needed(min_effect, sd, alpha=alpha),
    )


@dataclass(frozen=True, eq=False)
class _Test:
    pairs: Pairs
    alpha: float
    exact: bool
    horizon: int | None

    @property
    def wins(self) -> int:
        return int(np.sum(self.pairs.difference_T > 0))

    @property
    def losses(self) -> int:
        return int(np.sum(self.pairs.difference_T < 0))

    @property
    def n(self) -> int:
        return len(self.pairs.tasks)

    @property
    def sd(self) -> float | None:
        return float(self.pairs.difference_T.std(ddof=1)) if self.n > 1 else None

    def bets_T(self) -> Floats:
        """The differences in the order in which they are bet on."""
        if self.horizon is None:
            return self.pairs.difference_T
        digests = [hashlib.sha256(task.encode()).digest() for task in self.pairs.tasks]
        order = sorted(range(self.n), key=digests.__getitem__)
        return self.pairs.difference_T[order]

    def levels(self) -> tuple[float, float, float]:
        """e, p, and p of harm."""
        bets_T, bound = self.bets_T(), self.pairs.bound
        if self.exact:
            # told beside McNemar's p, so without a horizon: one whose bets aim at alpha is 0 or 1 / alpha at the end
            e, _ = e_and_p(bets_T, bound, alpha=self.alpha)
            return e, mcnemar_p(self.wins, self.losses), mcnemar_p(self.losses, self.wins)
        e, p = e_and_p(bets_T, bound, horizon=self.horizon, alpha=self.alpha)
        return e, p, e_and_p(-bets_T, bound, horizon=self.horizon, alpha=self.alpha)[1]

    def interval(self) -> tuple[float | None, float | None]:
        if not self.n:
            return None, None
        if self.exact:
            return tango_interval(self.wins, self.losses, self.n, confidence=1 - 2 * self.alpha)
        return confidence_interval(self.bets_T(), self.pairs.bound, self.alpha, horizon=self.horizon)

    def power(self, effects: tuple[float, ...]) -> Mapping[str, float]:
        if self.exact:
            share = (self.wins + self.losses) / self.n
            found = tuple(mcnemar_power(effect, share, self.n, alpha=self.alpha) for effect in effects)
        else:
            found = (0.0,) * len(effects) if self.sd is None else self._planned(self.sd).power(effects)
        return {power_key(effect): power for effect, power in zip(effects, found, strict=True)}

    def mde(self) -> float | None:
        if self.exact:
            return mcnemar_mde((self.wins + self.losses) / self.n, self.n, alpha=self.alpha)
        return None if self.sd is None else self._planned(self.sd).mde()

    def _planned(self, sd: float) -> BettingTest:
        return BettingTest(self.n, sd, self.pairs.bound, self.alpha, fixed=self.horizon is not None)


def _shown(pairs: Pairs) -> Interval:
    if not pairs.tasks:
        return mean_interval({})
    candidate = {task: [value] for task, value in zip(pairs.tasks, pairs.candidate_T.tolist(), strict=True)}
    baseline = {task: [value] for task, value in zip(pairs.tasks, pairs.baseline_T.tolist(), strict=True)}
    return paired_interval(candidate, baseline)
