"""Observation features: one vocabulary for all benchmarks, with room for a benchmark's own.

name                 meaning (the *last* attempt unless said otherwise)
attempts             attempts made in this episode
attempts_left        attempts that the grant still allows
turns_left           share of granted turns still left
usd_left             share of granted money still left
depth                attempts in the lineage of the last attempt
correct, passed      value and pass flag of the checker of `correct`
best_passed          whether any attempt passed it
failing              checkers that did not pass
progress             change of `correct` since the parent
stalled              attempts in a row without progress
errors, error_kinds  failed calls; names of tools among them
repeats              calls made before with the same arguments
changed              whether the state differs from the one it started from
odd_outcome          whether the outcome was refusal, empty or timeout
untried              actions whose target was not looked at in the lineage
untried.<action>     the same for one action of the table
last.<action>        whether the last attempt was given that action
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Protocol

from controllers.history import Seen
from signatures.records import Amounts, Attempt


class Observer(Protocol):
    """What a benchmark adds to the common features; it sees attempts and traces, never the answer."""

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """The benchmark's own features, each name with its own prefix."""

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """For each action that points somewhere: whether the lineage has not looked there yet."""

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """The text that realises an action of the table after these attempts."""


def observe(history: Sequence[Seen], observer: Observer, *, granted: Amounts, left: Amounts) -> dict[str, float]:
    """All features of the attempts so far; what was not measured, or is not a finite number, is left out."""
    features: dict[str, float] = {"attempts": float(len(history))}
    if left.attempts is not None:
        features["attempts_left"] = float(left.attempts)
    if left.turns is not None and granted.turns:
        features["turns_left"] = left.turns / granted.turns
    if left.usd is not None and granted.usd:
        features["usd_left"] = left.usd / granted.usd
    untried = observer.untried(history)
    features["untried"] = float(sum(untried.values()))
    features.update({f"untried.{action}": float(flag) for action, flag in untried.items()})
    if history:
        features.update(_of_last(history))
    features.update(observer.features(history))
    return {name: value for name, value in features.items() if math.isfinite(value)}


def lineage(history: Sequence[Seen], id: str) -> list[Seen]:
    """The attempt `id` and its ancestors, root first."""
    by_id = {seen.attempt.id: seen for seen in history}
    chain: list[Seen] = []
    current = by_id.get(id)
    while current is not None:
        chain.append(current)
        current = by_id.get(current.attempt.parent_id or "")
    return chain[::-1]


def correctness(attempt: Attempt) -> float:
    """The checker's value of `correct`, 0 where it could not say."""
    check = attempt.check("correct")
    return 0.0 if check is None or check.value is None else check.value


def _of_last(history: Sequence[Seen]) -> dict[str, float]:
    last = history[-1]
    chain = lineage(history, last.attempt.id)
    calls = [(event.name, event.arguments) for event in last.trace if event.kind == "tool"]
    return {
        **_of_correct(chain),
        "depth": float(len(chain)),
        "best_passed": float(any((c := s.attempt.check("correct")) is not None and c.passed for s in history)),
        "failing": float(sum(1 for c in last.attempt.checks if c.passed is False)),
        "errors": float(sum(event.failed for event in last.trace)),
        "error_kinds": float(len({event.name for event in last.trace if event.failed})),
        "repeats": float(len(calls) - len(set(calls))),
        "changed": float(last.attempt.state_digest != last.attempt.start_digest),
        "odd_outcome": float(last.attempt.outcome not in ("ok", "infra_error")),
        f"last.{last.attempt.steer.action}": 1.0,
    }


def _of_correct(chain: Sequence[Seen]) -> dict[str, float]:
    """What the checker of `correct` said along a lineage: nothing where it could not say."""
    check = chain[-1].attempt.check("correct")
    found = {} if check is None or check.passed is None else {"passed": float(check.passed)}
    if check is None or check.value is None:
        return found
    values = [c.value for seen in chain if (c := seen.attempt.check("correct")) is not None and c.value is not None]
    steps = [after - before for before, after in pairwise(values)]
    stalled = next((n for n, step in enumerate(reversed(steps)) if step > 0), len(steps))
    return {**found, "correct": check.value, "progress": steps[-1] if steps else 0.0, "stalled": float(stalled)}


class NoObserver:
    """For a benchmark without features of its own: nothing is untried, a directive's text is its action's name."""

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """None."""
        return {}

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """None."""
        return {}

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """The action's name."""
        return action
