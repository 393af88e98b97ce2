"""When drift is looked for, and what each look may spend, so that looking at any time costs nothing.

Windows are dyadic: the first, second, third ... stretch of `least` episodes, of twice as many, of four times as many.
So what began late is not diluted by a long good past, and what is slight is found once enough has come. Every window
has a share of alpha that is fixed beforehand, and the shares of all windows that will ever be add up to 1: the chance
that any of them alarms falsely is at most alpha (Bonferroni), whoever looks whenever.

Within a window, or from a start on, only the first episode of a task counts: tasks are the unit, and a task that is
sent a hundred times is one.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from optimizers.drift.binned import Ints

STRIDE: Final = 1.1
"""Starts of the bets lie as far apart as `least` episodes, later as a tenth of what came before."""


class Window(NamedTuple):
    """A stretch of production episodes, from `first` up to but without `end`, and its share of alpha."""

    first: int
    end: int
    share: float


class Start(NamedTuple):
    """A production episode from which bets begin, and its share of alpha."""

    first: int
    share: float


def windows(n: int, least: int) -> list[Window]:
    """All full windows of the first n episodes; a longer past only adds to them."""
    found: list[Window] = []
    size, scale = least, 0
    while size <= n:
        found += [
            Window(number * size, (number + 1) * size, _share(scale) * _share(number)) for number in range(n // size)
        ]
        size, scale = size * 2, scale + 1
    return found


def starts(n: int, least: int) -> list[Start]:
    """All starts before episode n; a longer past only adds to them."""
    found: list[Start] = []
    first = 0
    while first < max(n, 1):
        found.append(Start(first, _share(len(found))))
        first = max(first + least, int(first * STRIDE))
    return found


def before_of(tasks: Ints) -> Ints:
    """The position of the last earlier episode of the same task, `N`; -1 where there is none."""
    last: dict[int, int] = {}
    found = np.full(len(tasks), -1, dtype=np.int64)
    for position, task in enumerate(tasks.tolist()):
        found[position] = last.get(task, -1)
        last[task] = position
    return found


def _share(number: int) -> float:
    """Of the numbers from 0 on: 1/2, 1/6, 1/12 ..., which add up to 1."""
    return 1 / ((number + 1) * (number + 2))
