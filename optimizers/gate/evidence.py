"""Evidence on one objective from its pairs: the test that decides, its interval, its power."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from optimizers.episode_log import Floats
from optimizers.gate.exact import least_p, mcnemar_p, tango_interval
from optimizers.gate.paired import Pairs
from optimizers.gate.power import BettingTest, mcnemar_mde, mcnemar_power, pairs_needed, power_key
from optimizers.gate.records import Evidence
from optimizers.gate.sequential import POINTS as MEANS
from optimizers.gate.sequential import confidence_interval_each, e_and_p_each
from optimizers.intervals import RESAMPLES, paired_interval
from signatures.errors import UsageError

POINTS = (0.05, 0.10)
"""Differences whose power every report tells, as shares of the range."""


SHARED = 500
"""Tasks up to which experiments of one size share their resamples: 8 MB of them."""
CHUNK = 1 << 21
"""Numbers in the largest array of a batch of experiments."""


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
    (found,) = evidence_of_each((pairs,), alpha=alpha, min_effect=min_effect, optional_stopping=optional_stopping)
    return found


def evidence_of_each(
    pairs: Sequence[Pairs], *, alpha: float = 0.025, min_effect: float | None = None, optional_stopping: bool = False
) -> list[Evidence]:
    """`evidence_of` for each of many experiments: those of one size are bet on together, which is far faster."""
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha {alpha}: one-sided, it must lie between 0 and 0.5")
    if min_effect is not None and not 0 < min_effect < float("inf"):
        raise UsageError(f"smallest effect of interest {min_effect}: it must be above 0")
    alike: dict[tuple[int, float, bool], list[int]] = {}
    for i, one in enumerate(pairs):
        alike.setdefault((len(one.tasks), one.bound, one.pass_fail and not optional_stopping), []).append(i)
    found: dict[int, Evidence] = {}
    for (n, _, exact), members in alike.items():
        size = max(1, CHUNK // (2 * (MEANS + 1) * max(1, n)))
        for start in range(0, len(members), size):
            chunk = members[start : start + size]
            tests = _tests([pairs[i] for i in chunk], alpha, exact=exact, fixed=not optional_stopping)
            found.update((i, test.evidence(min_effect)) for i, test in zip(chunk, tests, strict=True))
    return [found[i] for i in range(len(pairs))]


def _tests(alike: Sequence[Pairs], alpha: float, *, exact: bool, fixed: bool) -> list[_Test]:
    """The tests of experiments of one size and range."""
    n, bound = len(alike[0].tasks), alike[0].bound
    horizon = max(1, n) if fixed else None
    bets_R_T = np.array([_bets(one, fixed=fixed) for one in alike])
    # told beside McNemar's p, so without a horizon: one whose bets aim at alpha is 0 or 1 / alpha at the end
    e_R, p_R = e_and_p_each(bets_R_T, bound, horizon=None if exact else horizon, alpha=alpha)
    if not n:
        return [_Test(one, alpha, exact=exact, fixed=fixed, e=float(e)) for one, e in zip(alike, e_R, strict=True)]
    harm_R = e_and_p_each(-bets_R_T, bound, horizon=horizon, alpha=alpha)[1]
    lo_R, hi_R = confidence_interval_each(bets_R_T, bound, alpha, horizon=horizon)
    bets = zip(
        alike,
        e_R.tolist(),
        zip(p_R.tolist(), harm_R.tolist(), strict=True),
        zip(lo_R.tolist(), hi_R.tolist(), strict=True),
        strict=True,
    )
    return [_Test(one, alpha, exact=exact, fixed=fixed, e=e, bet_p=p, bet_interval=ends) for one, e, p, ends in bets]


def _bets(pairs: Pairs, *, fixed: bool) -> Floats:
    """The differences in the order in which they are bet on."""
    if not fixed:
        return pairs.difference_T
    digests = [hashlib.sha256(task.encode()).digest() for task in pairs.tasks]
    return pairs.difference_T[sorted(range(len(digests)), key=digests.__getitem__)]


@dataclass(frozen=True, eq=False)
class _Test:
    pairs: Pairs
    alpha: float
    exact: bool
    fixed: bool
    e: float
    bet_p: tuple[float, float] = (1.0, 1.0)
    "p, and p of harm"
    bet_interval: tuple[float | None, float | None] = (None, None)

    def evidence(self, min_effect: float | None) -> Evidence:
        pairs, sd = self.pairs, self.sd
        n, (shown_lo, shown_hi) = self.n, _shown(pairs)
        lo, hi = self.interval()
        sure_lo, sure_hi = self.bet_interval
        p, p_harm = self.levels()
        planned = (*(share * pairs.bound for share in POINTS), *(() if min_effect is None else (min_effect,)))
        return Evidence(
            objective=pairs.objective,
            kind="pass/fail" if self.exact else "bounded",
            n=n,
            missing=pairs.missing,
            wins=self.wins,
            losses=self.losses,
            baseline=float(pairs.baseline_T.mean()) if n else None,
            candidate=float(pairs.candidate_T.mean()) if n else None,
            effect=float(pairs.difference_T.mean()) if n else None,
            sd=sd,
            lo=lo,
            hi=hi,
            sure_lo=sure_lo,
            sure_hi=sure_hi,
            shown_lo=shown_lo,
            shown_hi=shown_hi,
            e_value=self.e,
            p=p,
            p_harm=p_harm,
            min_p=least_p(self.wins + self.losses),
            mde=self.mde(),
            power=self.power(planned),
            pairs_needed=None if min_effect is None or not sd else pairs_needed(min_effect, sd, alpha=self.alpha),
        )

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

    def levels(self) -> tuple[float, float]:
        """p, and p of harm."""
        if self.exact:
            return mcnemar_p(self.wins, self.losses), mcnemar_p(self.losses, self.wins)
        return self.bet_p

    def interval(self) -> tuple[float | None, float | None]:
        if self.exact and self.n:
            return tango_interval(self.wins, self.losses, self.n, confidence=1 - 2 * self.alpha)
        return self.bet_interval

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
        return BettingTest(self.n, sd, self.pairs.bound, self.alpha, fixed=self.fixed)


def _shown(pairs: Pairs) -> tuple[float | None, float | None]:
    """The interval of `paired_interval`, with its seed, from resamples that experiments of one size share."""
    n = len(pairs.tasks)
    if n < 2:
        return None, None
    if n > SHARED:
        candidate = {task: [value] for task, value in zip(pairs.tasks, pairs.candidate_T.tolist(), strict=True)}
        baseline = {task: [value] for task, value in zip(pairs.tasks, pairs.baseline_T.tolist(), strict=True)}
        alone = paired_interval(candidate, baseline)
        return alone.lo, alone.hi
    difference_T = pairs.difference_T[sorted(range(n), key=pairs.tasks.__getitem__)]
    mean_B = _resamples(n) @ difference_T
    lo, hi = np.percentile(mean_B, [2.5, 97.5])
    mean = float(difference_T.mean())
    return min(float(lo), mean), max(float(hi), mean)


@lru_cache(maxsize=4)
def _resamples(n: int) -> Floats:
    """`B x T`: how often each resample holds each task, over n."""
    drawn_B_T = np.random.default_rng(0).integers(0, n, (RESAMPLES, n))
    count_B_T = np.zeros((RESAMPLES, n))
    np.add.at(count_B_T, (np.arange(RESAMPLES)[:, None], drawn_B_T), 1.0)
    return count_B_T / n
