"""Exact tests on counts of wins and losses, and Tango's score interval, which is shown beside them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, Literal

from signatures.errors import UsageError

Sides = Literal[1, 2]

_NEAR: Final = 1e-12


def sign_p(wins: int, losses: int, *, sides: Sides = 1) -> float:
    """P of at least so many wins among the discordant tasks where each is as likely a loss: exact, ties left out.

    Two-sided: twice the smaller tail, at most 1. No discordant task: 1. Raises UsageError on a negative count.
    Source: Conover 1999, section 3.4.
    """
    from scipy.special import bdtrc

    discordant = _discordant(wins, losses)
    if min(wins, losses) == 0:
        # by hand, so that all wins give `least_p` to the last bit
        upper, lower = (0.5**discordant, 1.0) if wins else (1.0, 0.5**discordant)
    else:
        upper, lower = float(bdtrc(wins - 1, discordant, 0.5)), float(bdtrc(losses - 1, discordant, 0.5))
    return upper if sides == 1 else min(1.0, 2 * min(upper, lower))


def mcnemar_p(wins: int, losses: int, *, sides: Sides = 1) -> float:
    """The exact McNemar test of a 2 x 2 table of pairs: the sign test of its discordant cells.

    wins: pairs that only the candidate passed; losses: that only the baseline passed. Source: McNemar 1947; exact
    form in Fagerland, Lydersen & Laake 2013, eq. 2.
    """
    return sign_p(wins, losses, sides=sides)


def least_p(discordant: int, *, sides: Sides = 1) -> float:
    """The least p that so many discordant tasks can give: all of them wins.

    It bounds the betting test too: no bet on differences within the range does more than double the wealth.
    """
    return min(1.0, sides * 0.5 ** _discordant(discordant, 0))


@lru_cache(maxsize=4096)
def tango_interval(wins: int, losses: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of the difference of two paired proportions, (wins - losses) / n.

    It is asymptotic: with few discordant pairs it excludes 0 too often, so it decides nothing. Raises UsageError
    where n is 0 or below the discordant pairs. Source: Tango 1998, eq. 3-5.
    """
    from scipy.stats import norm

    if n < max(1, _discordant(wins, losses)):
        raise UsageError(f"n = {n} pairs cannot hold {wins} wins and {losses} losses")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence {confidence}: it must lie between 0 and 1")
    z = float(norm.ppf((1 + confidence) / 2))
    return _lower(wins, losses, n, z), -_lower(losses, wins, n, z)


def _lower(wins: int, losses: int, n: int, z: float) -> float:
    """Where the score statistic is z, below the estimate; the other limit is the same with the sides exchanged."""
    from scipy.optimize import brentq

    def above(delta: float) -> float:
        return wins - losses - n * delta - z * math.sqrt(n * _variance(delta, wins, losses, n))

    estimate = (wins - losses) / n
    # with no discordant pair the statistic is 0 / 0 at the estimate itself, so the search stops just below it
    end = estimate - 1e-9
    if end <= -1 or above(end) >= 0:
        return max(-1.0, estimate)
    return float(brentq(above, -1.0, end, xtol=_NEAR))


def _variance(delta: float, wins: int, losses: int, n: int) -> float:
    """n times the variance of the estimated difference, at the likeliest table whose difference is delta."""
    a = 2 * n
    b = -wins - losses + (2 * n - wins + losses) * delta
    c = -losses * delta * (1 - delta)
    lost = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    return max(0.0, 2 * lost + delta * (1 - delta))


def _discordant(wins: int, losses: int) -> int:
    if min(wins, losses) < 0:
        raise UsageError(f"{wins} wins and {losses} losses: a count cannot be negative")
    return wins + losses
