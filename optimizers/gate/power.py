"""What so many tasks can show: power, the least difference that is found, the pairs that are needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from optimizers.episode_log import Floats
from optimizers.gate.exact import Sides
from optimizers.gate.sequential import e_value
from signatures.errors import UsageError

ENOUGH: Final = 0.8
"""Power at which a difference counts as one that would be found."""

TRIALS: Final = 400
"""Simulated holdouts for each difference: a power is right to +-0.05, at two standard errors."""

SIMULATED: Final = 1_000
"""Tasks up to which the betting test's power is simulated; above, it is the normal test's, which is too high: there by
0.03 to 0.06 where the spread is a quarter of the bound or more, by up to 0.14 where it is a tenth."""

MOST_PAIRS: Final = 10_000
"""Beyond it no number of pairs is told."""

POINTS: Final = 16
"""Differences among which the least one that is found is interpolated."""


def power_key(effect: float) -> str:
    """How a report names a difference: `0.05`, `0.10`, `0.033`."""
    return f"{effect:.2f}" if math.isclose(effect, round(effect, 2), abs_tol=1e-12) else f"{effect:.12g}"


def pairs_needed(
    effect: float, sd: float, *, alpha: float = 0.05, sides: Sides = 1, power: float = ENOUGH
) -> int | None:
    """Pairs at which a mean difference of `effect` is found with that power, by the normal approximation.

    For planning: the test that decides asks for some more. sd: of the tasks' differences; 0: no plan, so None.
    Raises UsageError where the effect is not above 0. Source: Chow, Shao & Wang 2008, section 3.1.
    """
    from scipy.special import ndtri

    if not effect > 0:
        raise UsageError(f"effect {effect}: pairs are planned for a difference above 0")
    if not sd > 0:
        return None
    quantiles = float(ndtri(1 - alpha / sides) + ndtri(power))
    return math.ceil((quantiles * sd / effect) ** 2)


def normal_power(effect: float, sd: float, n: int, *, alpha: float = 0.025) -> float:
    """Power of the one-sided test of a normal mean with known spread."""
    from scipy.special import ndtr, ndtri

    if n < 1 or sd <= 0:
        return 1.0 if n and effect > 0 else 0.0
    return float(ndtr(effect * math.sqrt(n) / sd - ndtri(1 - alpha)))


def mcnemar_power(effect: float, discordant: float, n: int, *, alpha: float = 0.025) -> float:
    """Power of the exact one-sided McNemar test, summed over how many of the n pairs turn out discordant.

    discordant: share of pairs that differ; raised to `effect` where it is less, since it cannot be. Source: Duffy
    1984.
    """
    from scipy.special import bdtr, bdtrc

    share = max(discordant, effect)
    if n < 1 or not 0 < share <= 1 or effect <= 0:
        return 0.0
    counts_D, critical_D = np.arange(n + 1), _critical(n, alpha)
    wins_D = bdtrc(critical_D - 1, counts_D, (share + effect) / (2 * share))
    found_D = np.where(critical_D <= counts_D, wins_D, 0.0)
    return float(np.clip(np.diff(bdtr(counts_D, n, share), prepend=0.0) @ found_D, 0.0, 1.0))


@dataclass(frozen=True)
class BettingTest:
    """The betting test of a holdout, as it is planned: its size, the spread of its differences, its level."""

    n: int
    sd: float
    bound: float = 1.0
    alpha: float = 0.025
    fixed: bool = True
    "the number of tasks is the registered horizon; False: without a horizon, looked at after the last task"

    def power(self, effects_G: Sequence[float]) -> tuple[float, ...]:
        """Power for each difference, if differences were normal with this spread, cut at the range: simulated.

        The spread is taken to two digits. From one seed, so that the same question has the same answer.
        """
        if self.n > SIMULATED:
            return tuple(normal_power(effect, self.sd, self.n, alpha=self.alpha) for effect in effects_G)
        return _simulated(self._rounded(), tuple(effects_G))

    def mde(self) -> float | None:
        """The difference found with power 0.8; None: not even the whole range is."""
        effects_G = np.geomspace(0.005, 1.0, POINTS) * self.bound
        # a power that falls with the difference is noise of the simulation
        power_G = np.maximum.accumulate(self.power(effects_G.tolist()))
        return _first_enough(effects_G, power_G)

    def _rounded(self) -> BettingTest:
        return BettingTest(self.n, float(f"{self.sd:.1e}"), self.bound, self.alpha, self.fixed)


@lru_cache(maxsize=4096)
def mcnemar_mde(discordant: float, n: int, *, alpha: float = 0.025) -> float | None:
    """The difference found with power 0.8 at that share of discordant pairs; None: not even the whole range is."""
    lo, hi = 0.0, 1.0
    if mcnemar_power(hi, discordant, n, alpha=alpha) < ENOUGH:
        return None
    while hi - lo > 1e-4:
        middle = (lo + hi) / 2
        enough = mcnemar_power(middle, discordant, n, alpha=alpha) >= ENOUGH
        lo, hi = (lo, middle) if enough else (middle, hi)
    return hi


@lru_cache(maxsize=4096)
def mcnemar_pairs(effect: float, discordant: float, *, alpha: float = 0.025) -> int | None:
    """Pairs at which the exact test finds `effect` with power 0.8 at that share of discordant pairs.

    None: over some 10,000. Right within a few pairs, as the power of an exact test is a saw in n. Raises UsageError
    where the effect is not above 0.
    """
    if not effect > 0:
        raise UsageError(f"effect {effect}: pairs are planned for a difference above 0")
    lo, hi = 1, 2
    while mcnemar_power(effect, discordant, hi, alpha=alpha) < ENOUGH:
        lo, hi = hi, 2 * hi
        if lo > MOST_PAIRS:
            return None
    while hi - lo > 1:
        middle = (lo + hi) // 2
        enough = mcnemar_power(effect, discordant, middle, alpha=alpha) >= ENOUGH
        lo, hi = (lo, middle) if enough else (middle, hi)
    return hi


@lru_cache(maxsize=64)
def _critical(n: int, alpha: float) -> npt.NDArray[np.int_]:
    """The wins from which on 0, 1, ... n discordant pairs reach alpha."""
    from scipy.stats import binom

    critical_D: npt.NDArray[np.int_] = binom.isf(alpha, np.arange(n + 1), 0.5).astype(int) + 1
    critical_D.flags.writeable = False
    return critical_D


def _first_enough(effects_G: Floats, power_G: Floats) -> float | None:
    if power_G[-1] < ENOUGH:
        return None
    first = int(np.argmax(power_G >= ENOUGH))
    if first == 0:
        return float(effects_G[0])
    before, after = power_G[first - 1], power_G[first]
    share = (ENOUGH - before) / (after - before)
    return float(effects_G[first - 1] + share * (effects_G[first] - effects_G[first - 1]))


@lru_cache(maxsize=4096)
def _simulated(test: BettingTest, effects_G: tuple[float, ...]) -> tuple[float, ...]:
    """Remembered, since many experiments of one size and spread ask the same."""
    noise_R_T = np.random.default_rng(0).standard_normal((TRIALS, test.n)) * test.sd
    drawn_G_R_T = np.clip(np.array(effects_G)[:, None, None] + noise_R_T, -test.bound, test.bound)
    e_G_R = e_value(drawn_G_R_T, test.bound, horizon=test.n if test.fixed else None, alpha=test.alpha)
    return tuple(float(power) for power in (e_G_R >= 1 / test.alpha).mean(axis=1))
