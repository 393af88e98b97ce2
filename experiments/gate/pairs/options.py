"""What `--range` and `--margin` say: one value for all objectives, and one for each that is named."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from signatures.errors import UsageError

T = TypeVar("T")

PRIMARY: Final = "primary"
"""Name of the objective in the columns `baseline` and `candidate`."""
LEAST_WIDTH: Final = 1e-100
MOST_WIDTH: Final = 1e100
"""Of a range: what is narrower or wider is a slip, and its squares leave the numbers that a float holds."""
DEFAULT_MARGIN: Final = 0.05
"""Of the range: the loss on a further objective that is tolerated where no margin is given."""


@dataclass(frozen=True)
class Range:
    """From the lowest to the highest value that can be."""

    lo: float = 0.0
    hi: float = 1.0

    @property
    def width(self) -> float:
        """The largest difference of two values."""
        return self.hi - self.lo

    @property
    def points(self) -> float:
        """Points in one unit: a point is a hundredth of the range."""
        return 100.0 / self.width


def ranges_of(objectives: Sequence[str], given: Sequence[str]) -> dict[str, Range]:
    """The range of each objective, 0 to 1 where none is given. Raises UsageError naming what is wrong."""
    chosen = _by_objective("--range", objectives, given, _range)
    return {name: chosen.get(name) or chosen.get(None) or Range() for name in objectives}


def margins_of(ranges: Mapping[str, Range], given: Sequence[str]) -> dict[str, float]:
    """The margin of each objective but the primary one, in units of its value. Raises UsageError."""
    further = [name for name in ranges if name != PRIMARY]
    chosen = _by_objective("--margin", further, given, _margin)
    margins = {}
    for name in further:
        width = ranges[name].width
        margins[name] = chosen.get(name, chosen.get(None, DEFAULT_MARGIN * width))
        if margins[name] > width:
            raise UsageError(f"--margin {margins[name]:g}: no difference of {name} can be above {width:g}")
    return margins


def _by_objective(
    option: str, objectives: Sequence[str], given: Sequence[str], parse: Callable[[str], T]
) -> dict[str | None, T]:
    """What is given for each objective that is named; under None, what is given for all."""
    chosen: dict[str | None, T] = {}
    for text in given:
        before, equals, value = text.rpartition("=")
        name = before.strip() if equals else None
        if name in chosen:
            raise UsageError(f"{option} {text}: given twice")
        if name is not None and name not in objectives:
            there = f"there are {', '.join(objectives)}" if objectives else "there is none"
            raise UsageError(f"{option} {text}: no objective of that name can have one; {there}")
        chosen[name] = parse(value)
    return chosen


def _range(text: str) -> Range:
    try:
        lo, hi = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--range {text}: expected lo,hi, such as 0,1") from error
    if not (lo < hi and math.isfinite(hi - lo)):
        raise UsageError(f"--range {text}: lo must be below hi, and both finite")
    if not LEAST_WIDTH <= hi - lo <= MOST_WIDTH:
        raise UsageError(f"--range {text}: its width must lie between {LEAST_WIDTH:g} and {MOST_WIDTH:g}")
    return Range(lo, hi)


def _margin(text: str) -> float:
    try:
        margin = float(text)
    except ValueError as error:
        raise UsageError(f"--margin {text}: expected a number") from error
    if not (math.isfinite(margin) and margin >= 0):
        raise UsageError(f"--margin {text}: it must be 0 or more")
    return margin
