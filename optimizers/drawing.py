"""Random candidates: a few uniform edits of rules. What every engine without an idea of its own draws from."""

from __future__ import annotations

import random
from typing import Final

from optimizers.space import Space, random_edit
from signatures.errors import UsageError
from signatures.records import Candidate

MOST_EDITS: Final = 3
"""Edits between a parent and its random child."""


def drawn(parent: Candidate, space: Space, rng: random.Random) -> tuple[Candidate, str]:
    """A random child of `parent`, and its hypothesis in one sentence."""
    child, edits = parent, rng.randint(1, MOST_EDITS)
    for _ in range(edits):
        child = random_edit(child, space, rng)
    changed = [name for name in child.components if child.components[name] != parent.components[name]]
    what = " and ".join(changed) or "nothing"
    return child, f"{edits} random edit{'s' if edits > 1 else ''} of {what} help."


def require_rules(start: Candidate, space: Space, engine: str) -> None:
    """Raises UsageError where the start has no rules that a random edit could change."""
    from controllers.policies.rule import parse_rules

    for name in space.actions:
        if name not in start.components:
            raise UsageError(f"{engine} edits rules, and the start has no component {name}: start from rule policies")
        try:
            parse_rules(start.components[name])
        except UsageError as error:
            raise UsageError(f"{engine} edits rules, and {name} of the start has none ({error})") from error
