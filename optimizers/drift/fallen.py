"""Whether success in production has fallen below the gate's: bets on a fall, good at any time of looking.

The gate's mean is itself from few tasks. So what production must be shown to lie below is a lower bound of it
(Hoeffding 1963, theorem 1, by the Kullback-Leibler divergence: for any values on [0, 1]), and the mean less the
registered tolerance where that is lower still. Bets begin anew at starts that are fixed beforehand, each with its share
of alpha, so that a fall after a long good time is found too: the wealth of one bet from the beginning would first have
to be won back. The first objective has half of alpha, the others share the rest; of each, half goes to the bound and
half to the bets. A false alarm is one where the mean did not fall at all.

The gate plays without exploration: episodes are weighted by what they say of the controller without it
(`optimizers/drift/explored.py`), and what is bet on is the weighted shortfall, whose mean is the unexplored one's.
Stakes: Waudby-Smith & Ramdas 2024, as in `optimizers/gate/sequential.py`, here with a loss smaller than the gain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from optimizers.drift.looks import before_of, starts
from optimizers.drift.records import Limits, ObjectiveDrift, SuccessDrift
from optimizers.episode_log import Floats
from optimizers.intervals import mean_interval
from signatures.errors import UsageError
from signatures.release import Level

_HALVINGS: Final = 60
_STAKES: Final = 32
"""Mixed in equal parts: shares of the wealth, from the least to all but the least. Slight falls ask for slight ones."""
_LEAST_STAKE: Final = 1 / 64
_MOST_LOG: Final = 600.0
_OVER: Final = 1e-9


class Success(NamedTuple):
    """What the checkers said of one production episode: objective -> value on [0, 1], None where not measured."""

    task: str
    values: Mapping[str, float | None]
    weight: float = 1.0
    "0 where exploration took it elsewhere; 1 without exploration"


class _Known(NamedTuple):
    number: int
    task: str
    value: float
    weight: float


class _Bets(NamedTuple):
    e_value: float
    since: int | None


def success_drift(
    reference: Mapping[str, Level],
    episodes: Sequence[Success],
    limits: Limits | None = None,
    *,
    most: float | None = 1.0,
) -> SuccessDrift | None:
    """One finding per objective of the reference; None where it has none. `episodes` are in order of arrival.

    `most`: what no weight exceeds, fixed before any episode; None: nothing bounds them, and no fall can be shown. An
    episode above it was granted more than was registered and is left out. Raises UsageError on values outside [0, 1].
    """
    if not reference:
        return None
    limits = limits or Limits()
    counted = [one if number % limits.every == 0 else None for number, one in enumerate(episodes)]
    found = tuple(
        _drift(name, level, counted, alpha=limits.alpha / 2 * share, limits=limits, most=most)
        for (name, level), share in zip(reference.items(), _shares(len(reference)), strict=True)
    )
    explored = sum(one.weight == 0 for one in episodes)
    return SuccessDrift(objectives=found, explored=explored, alarm=any(one.alarm for one in found))


def lower_bound(level: Level, alpha: float) -> float:
    """What the mean behind a gate's mean of n tasks, each on [0, 1], exceeds but with probability alpha."""
    low, high = 0.0, min(1.0, max(0.0, level.mean))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        far = level.n * _divergence(level.mean, middle) > -math.log(alpha)
        low, high = (middle, high) if far else (low, middle)
    return low


def _drift(
    name: str, level: Level, counted: Sequence[Success | None], *, alpha: float, limits: Limits, most: float | None
) -> ObjectiveDrift:
    known = [
        _Known(number, one.task, value, one.weight)
        for number, one in enumerate(counted)
        if one is not None and (value := one.values.get(name)) is not None and one.weight <= (most or math.inf) + _OVER
    ]
    if any(not 0 <= one.value <= 1 for one in known):
        raise UsageError(f"{name}: a value of success lies outside 0 to 1")
    by_task: dict[str, list[float | None]] = {}
    for one in known:
        by_task.setdefault(one.task, []).append(one.value)
    shown = mean_interval(by_task)
    floor = min(lower_bound(level, alpha / 2), level.mean - limits.tolerance)
    bets = _bets(known, len(counted), floor=floor, least=limits.window * limits.every, most=most)
    needed = 2 / alpha
    return ObjectiveDrift(
        objective=name,
        reference=level,
        floor=floor,
        n=shown.n,
        mean=shown.mean,
        lo=shown.lo,
        hi=shown.hi,
        unexplored=_unexplored(known),
        unmeasured=sum(one is not None for one in counted) - len(known),
        e_value=bets.e_value,
        needed=needed,
        since=bets.since if bets.e_value >= needed else None,
        alarm=bets.e_value >= needed,
    )


def _bets(known: Sequence[_Known], n: int, *, floor: float, least: int, most: float | None) -> _Bets:
    """The largest weighted wealth that was ever reached, and where its bets began."""
    begins = starts(n, least)
    if not known or floor <= 0 or most is None:
        return _Bets(begins[0].share, None)
    names: dict[str, int] = {}
    tasks = np.array([names.setdefault(one.task, len(names)) for one in known], dtype=np.int64)
    before_T = before_of(tasks)
    gain_T = np.array([one.weight * (floor - one.value) for one in known])
    # a start's bets are on the first episode of each task from there on: another is a difference of 0
    first_R = np.searchsorted([one.number for one in known], [one.first for one in begins])
    kept_R_T = (np.arange(len(known)) >= first_R[:, None]) & (before_T < first_R[:, None])
    wealth_R = _most_wealth(np.where(kept_R_T, gain_T, 0.0), most * (1 - floor)) * [one.share for one in begins]
    best = int(wealth_R.argmax())
    return _Bets(float(wealth_R[best]), begins[best].first + 1)


def _most_wealth(gain_R_T: Floats, loss: float) -> Floats:
    """The largest wealth on the way, `R`, of betting that the mean gain is above 0. No gain is below -loss."""
    stake_S = np.geomspace(_LEAST_STAKE, 1 - _LEAST_STAKE, _STAKES) / max(loss, _OVER)
    log_R_S, best_R = np.zeros((len(gain_R_T), _STAKES)), np.ones(len(gain_R_T))
    for gain_R in gain_R_T.T:
        log_R_S += np.log1p(stake_S * gain_R[:, None])
        best_R = np.maximum(best_R, np.exp(np.minimum(log_R_S, _MOST_LOG)).mean(axis=1))
    return best_R


def _unexplored(known: Sequence[_Known]) -> float | None:
    """The weighted mean over tasks; None where nothing was explored, or exploration took every episode elsewhere."""
    weights: dict[str, float] = {}
    sums: dict[str, float] = {}
    for one in known:
        weights[one.task] = weights.get(one.task, 0.0) + one.weight
        sums[one.task] = sums.get(one.task, 0.0) + one.weight * one.value
    if all(one.weight == 1 for one in known) or not (total := math.fsum(weights.values())):
        return None
    return math.fsum(sums.values()) / total


def _shares(objectives: int) -> list[float]:
    """Of alpha: a half for the first, the rest in equal parts."""
    others = objectives - 1
    return [0.5, *[0.5 / others] * others] if others else [1.0]


def _divergence(mean: float, other: float) -> float:
    """Kullback-Leibler divergence of a coin of `mean` from one of `other`."""
    found = 0.0
    for p, q in ((mean, other), (1 - mean, 1 - other)):
        if p > 0:
            found += math.inf if q <= 0 else p * math.log(p / q)
    return found
