"""What can be turned: a choice, a whole number or a level, each with the value that the search starts from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

Value: TypeAlias = str | int | float
"""Where a knob stands: an option's name, or a number."""


class Choice(NamedTuple):
    """One of several options, by name."""

    name: str
    options: tuple[str, ...]
    default: str

    def settled(self, value: object) -> str:
        """`value` if it is an option, else the default."""
        return value if isinstance(value, str) and value in self.options else self.default


class Count(NamedTuple):
    """A whole number between two others, both included."""

    name: str
    low: int
    high: int
    default: int

    def settled(self, value: object) -> int:
        """`value` rounded and brought within the limits; the default where it is no number."""
        number = _number(value)
        return self.default if number is None else round(min(max(number, self.low), self.high))


class Level(NamedTuple):
    """A number between two others, both included."""

    name: str
    low: float
    high: float
    default: float

    def settled(self, value: object) -> float:
        """`value` brought within the limits; the default where it is no number."""
        number = _number(value)
        return self.default if number is None else float(min(max(number, self.low), self.high))


Knob: TypeAlias = Choice | Count | Level


def settled(knobs: Sequence[Knob], values: Mapping[str, object]) -> dict[str, Value]:
    """Where every knob stands for these values: what is missing or no value of its knob is the default."""
    return {knob.name: knob.settled(values.get(knob.name)) for knob in knobs}


def defaults(knobs: Sequence[Knob]) -> dict[str, Value]:
    """Where the search starts."""
    return {knob.name: knob.default for knob in knobs}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return value
