"""Reflective records: what was decided, in which situation, and what the checkers measured before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from controllers.history import Seen
from controllers.observe import Observer, correctness, lineage, observe
from controllers.prompts import render
from controllers.selector import select
from optimizers.setup import Grant
from signatures.records import Amounts, Finite, PolicyName, Record


class Reflection(Record):
    """One move as evidence. `gain` is the change of the best `correct` by the checkers; no verdict is in it."""

    measured: ClassVar[frozenset[str]] = frozenset({"attempt"})

    policy: PolicyName
    features: Mapping[str, Finite]
    "what was observed before the move"
    action: str
    gain: Finite
    turns: int = Field(ge=0)
    "turns that the move took"
    before: tuple[str, ...] = ()
    "the attempt that the move was decided on, rendered like the one that followed"
    observed: tuple[str, ...] = ()
    "the attempt that followed: every turn, tool error and checker detail, as rendered observations"
    origin: str = ""
    "benchmark and split of a move that was learned, such as `planted production`; empty: of the search's own tasks"
    foreign: bool = False
    "of another benchmark: a feature that is missing here was not measured there, which is not the same as absent"
    attempt: str = ""
    "id of the attempt that followed: where to look, and no part of what the move says"

    def content(self) -> dict[str, object]:
        """As `Record.content`; of a move of the search's own tasks without where it comes from."""
        found = super().content()
        return found if self.origin else {name: found[name] for name in found if name not in ("origin", "foreign")}

    def shown(self, *, lines: int | None = None) -> dict[str, object]:
        """As a model is shown it, with at most the last `lines` observations of each attempt, None for all."""
        learned = {"learned from": self.origin} if self.origin else {}
        return {
            **learned,
            "features before": {name: value for name, value in sorted(self.features.items()) if value},
            "what had happened": _last(self.before, lines),
            "action": self.action,
            "change of `correct` by the checkers": round(self.gain, 4),
            "turns": self.turns,
            "what happened": _last(self.observed, lines),
        }


def reflections(
    history: Sequence[Seen], observer: Observer, grant: Grant, *, with_text: bool = False
) -> list[Reflection]:
    """Every move that the attempts of one episode, or of one recorded tree, show.

    A refinement shows `continue`, `refine_last` and its steer's action, seen from its lineage; a further fresh
    attempt shows `continue` and `fanout_1`, seen from the attempts before it. Infrastructure failures show nothing.
    """
    usable = [seen for seen in history if seen.attempt.outcome != "infra_error"]
    found: list[Reflection] = []
    for index, seen in enumerate(usable):
        parent = seen.attempt.parent_id
        before = lineage(usable, parent) if parent is not None else _earlier(usable[:index])
        if not before:
            continue
        features = _features(before, observer, grant)
        gain = max(0.0, correctness(seen.attempt) - _best(before))
        texts = (_text(before[-1]), _text(seen)) if with_text else ((), ())
        moves: list[tuple[PolicyName, str]] = [("stop", "continue")]
        if parent is not None:
            moves += [("topology", "refine_last"), ("steer", seen.attempt.steer.action)]
            gain = correctness(seen.attempt) - correctness(before[-1].attempt)
        else:
            moves.append(("topology", "fanout_1"))
        for policy, action in moves:
            found.append(
                Reflection(
                    policy=policy,
                    features=features,
                    action=action,
                    gain=gain,
                    turns=seen.attempt.cost.turns or 0,
                    before=texts[0],
                    observed=texts[1],
                    attempt=seen.attempt.id,
                )
            )
    return found


def _text(seen: Seen) -> tuple[str, ...]:
    """Every observation of an attempt: the number that a policy's prompt is limited to does not hold here."""
    observations = seen.observations()
    return tuple(render(observations, last=len(observations)))


def _last(told: Sequence[str], lines: int | None) -> list[str]:
    """The last of these, after how many are left out."""
    if lines is None or len(told) <= lines:
        return list(told)
    return [f"{len(told) - lines} earlier observations are left out", *told[len(told) - lines :]]


def _earlier(history: Sequence[Seen]) -> Sequence[Seen]:
    """What came before a further fresh attempt; of fresh ones alone two, so that a tree's roots stay comparable."""
    return history if any(seen.attempt.parent_id is not None for seen in history) else history[:2]


def _best(history: Sequence[Seen]) -> float:
    chosen = select(history)
    return 0.0 if chosen is None else correctness(chosen.attempt)


def _features(before: Sequence[Seen], observer: Observer, grant: Grant) -> dict[str, float]:
    left = Amounts(attempts=max(0, grant.attempts - len(before)))
    if grant.turns_per_attempt is not None:
        spent = sum(seen.attempt.cost.turns or 0 for seen in before)
        left = left.model_copy(update={"turns": max(0, grant.attempts * grant.turns_per_attempt - spent)})
    return observe(before, observer, granted=grant.amounts, left=left)
