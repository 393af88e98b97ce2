"""Whether success in production has fallen below the gate's: bets on a fall, good at any time of looking.

The gate's mean is itself from few tasks. So what production must be shown to lie below is a lower bound of it
(Hoeffding 1963, theorem 1, by the Kullback-Leibler divergence: for any values on [0, 1]), and the mean less the
registered tolerance where that is lower still. Bets begin anew at starts that are fixed beforehand, each with its share
of alpha, so that a fall after a long good time is found too: the wealth of one bet from the beginning would first have
to be won back. The first objective has half of alpha, the others share the rest; of each, half goes to the bound and
half to the bets. A false alarm is one where the mean did not fall at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from optimizers.drift.looks import before_of, starts
from optimizers.drift.records import Limits, ObjectiveDrift, SuccessDrift
from optimizers.gate.sequential import e_process
from optimizers.intervals import mean_interval
from signatures.release import Level

_HALVINGS: Final = 60


class Success(NamedTuple):
    """What the checkers said of one production episode: objective -> value on [0, 1], None where not measured."""

    task: str
    values: Mapping[str, float | None]


class _Bets(NamedTuple):
    e_value: float
    since: int | None


def success_drift(
    reference: Mapping[str, Level], episodes: Sequence[Success], limits: Limits | None = None
) -> SuccessDrift | None:
    """One finding per objective of the reference; None where it has none. `episodes` are in order of arrival.

    Raises UsageError on values outside [0, 1].
    """
    if not reference:
        return None
    limits = limits or Limits()
    found = tuple(
        _drift(name, level, episodes, alpha=limits.alpha / 2 * share, limits=limits)
        for (name, level), share in zip(reference.items(), _shares(len(reference)), strict=True)
    )
    return SuccessDrift(objectives=found, alarm=any(one.alarm for one in found))


def lower_bound(level: Level, alpha: float) -> float:
    """What the mean behind a gate's mean of n tasks, each on [0, 1], exceeds but with probability alpha."""
    low, high = 0.0, min(1.0, max(0.0, level.mean))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        far = level.n * _divergence(level.mean, middle) > -math.log(alpha)
        low, high = (middle, high) if far else (low, middle)
    return low


def _drift(name: str, level: Level, episodes: Sequence[Success], *, alpha: float, limits: Limits) -> ObjectiveDrift:
    known = [
        (number, one.task, value) for number, one in enumerate(episodes) if (value := one.values.get(name)) is not None
    ]
    by_task: dict[str, list[float | None]] = {}
    for _, task, value in known:
        by_task.setdefault(task, []).append(value)
    shown = mean_interval(by_task)
    floor = min(lower_bound(level, alpha / 2), level.mean - limits.tolerance)
    bets = _bets(known, len(episodes), floor=floor, least=limits.window)
    needed = 2 / alpha
    return ObjectiveDrift(
        objective=name,
        reference=level,
        floor=floor,
        n=shown.n,
        mean=shown.mean,
        lo=shown.lo,
        hi=shown.hi,
        e_value=bets.e_value,
        needed=needed,
        since=bets.since if bets.e_value >= needed else None,
        alarm=bets.e_value >= needed,
    )


def _bets(known: Sequence[tuple[int, str, float]], n: int, *, floor: float, least: int) -> _Bets:
    """The largest weighted wealth that was ever reached, and where its bets began."""
    begins = starts(n, least)
    if not known or floor <= 0:
        return _Bets(begins[0].share, None)
    names: dict[str, int] = {}
    tasks = np.array([names.setdefault(task, len(names)) for _, task, _ in known], dtype=np.int64)
    before_T, value_T = before_of(tasks), np.array([value for _, _, value in known])
    number_T = np.array([number for number, _, _ in known])
    # a start's bets are on the first episode of each task from there on: another is a difference of 0
    first_R = np.searchsorted(number_T, [one.first for one in begins])
    kept_R_T = (np.arange(len(known)) >= first_R[:, None]) & (before_T < first_R[:, None])
    gain_R_T = np.where(kept_R_T, floor - value_T, 0.0)
    wealth_R = e_process(gain_R_T, max(floor, 1 - floor)).max(axis=1) * [one.share for one in begins]
    best = int(wealth_R.argmax())
    return _Bets(float(wealth_R[best]), begins[best].first + 1)


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
