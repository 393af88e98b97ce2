"""Programs with parameters: what a family offers beside decision lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from controllers.moves import MAX_FANOUT
from controllers.programs import builtin
from optimizers.knobs.knob import Choice, Count, Knob, Value
from optimizers.space import Space
from signatures.errors import UsageError
from signatures.records import Candidate

MOST_PATIENCE: Final = 4
MOST_CHEAP: Final = 4


class Sketch(NamedTuple):
    """A program as a function of its parameters. `write` is given a value for each of `knobs`."""

    knobs: tuple[Knob, ...]
    write: Callable[[Mapping[str, Value]], Candidate]


def built_in(space: Space) -> Mapping[str, Sketch]:
    """The built-in programs, their actions those of the space that a program may name."""
    actions = tuple(action for action in space.actions["steer"] if _nameable(action))
    if not actions:
        return {"sample": Sketch((), _sample)}
    action, escalate = Choice("action", actions, actions[0]), Choice("escalate", actions, actions[0])
    return {
        "sample": Sketch((), _sample),
        "refine": Sketch((action,), _refine),
        "adaptive_refine": Sketch((action, Count("patience", 1, MOST_PATIENCE, 1)), _adaptive_refine),
        "sample_then_refine": Sketch((action, Count("fresh", 1, MAX_FANOUT, 2)), _sample_then_refine),
        "cascade": Sketch((escalate, Count("cheap", 1, MOST_CHEAP, 1)), _cascade),
    }


def _nameable(action: str) -> bool:
    try:
        builtin.refine(action)
    except UsageError:
        return False
    return True


def _sample(values: Mapping[str, Value]) -> Candidate:
    return builtin.sample()


def _refine(values: Mapping[str, Value]) -> Candidate:
    return builtin.refine(str(values["action"]))


def _adaptive_refine(values: Mapping[str, Value]) -> Candidate:
    return builtin.adaptive_refine(str(values["action"]), patience=int(values["patience"]))


def _sample_then_refine(values: Mapping[str, Value]) -> Candidate:
    return builtin.sample_then_refine(str(values["action"]), fresh=int(values["fresh"]))


def _cascade(values: Mapping[str, Value]) -> Candidate:
    return builtin.cascade(str(values["escalate"]), cheap=int(values["cheap"]))
