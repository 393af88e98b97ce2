"""What a model's policy answered on record: the material that a rule is fitted to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from signatures.records import Cost, Decision, PolicyName, Split

LEARNED_FROM: Final[tuple[Split, ...]] = ("search", "production")
"""Splits whose decisions a rule may be fitted to. Dev and holdout are for looking at what was learned."""
_TIE: Final = 1e-9


class Row(NamedTuple):
    """One decision of the policy, as far as a rule can reproduce it."""

    task: str
    "digest; rows of one task are never on both sides of a cross-validation"
    features: Mapping[str, float]
    legal: tuple[str, ...]
    action: str
    "the most likely one in the draw: exploration adds the same to all, so it is what the model named"


@dataclass
class Answered:
    """All recorded decisions of one policy."""

    rows: list[Row] = field(default_factory=list)
    undecided: int = 0
    "decisions without a single most likely action, as where the model's answer could not be used"
    asked: int = 0
    "decisions that a model's answer was paid for"
    cost: Cost = field(default_factory=Cost)
    "of these"


def answered(
    decisions: Iterable[Decision], tasks: Mapping[str, str], policies: Mapping[PolicyName, str]
) -> dict[PolicyName, Answered]:
    """The recorded decisions of policies, by policy.

    `tasks`: episode id -> task digest, of the episodes that may be read; decisions of others are left out.
    `policies`: policy -> digest of its text; decisions that another policy made are left out, a fallback's as well.
    """
    found: dict[PolicyName, Answered] = {name: Answered() for name in policies}
    for one in decisions:
        task = tasks.get(one.episode_id)
        if task is None or policies.get(one.policy) != one.policy_digest:
            continue
        mine = found[one.policy]
        mine.asked += 1
        mine.cost = mine.cost.plus(one.cost)
        action = most_likely(one.probabilities)
        if action is None:
            mine.undecided += 1
        else:
            mine.rows.append(Row(task, one.features, one.legal, action))
    return found


def most_likely(chances: Mapping[str, float]) -> str | None:
    """The action with the largest probability; None where two share it."""
    best = max(chances.values(), default=0.0)
    first = [action for action, chance in chances.items() if chance >= best - _TIE]
    return first[0] if len(first) == 1 else None
