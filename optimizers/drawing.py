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
    for name in space.actions:
        if name not in start.components:
            raise UsageError(f"{engine} edits rules, and the start has no component {name}: start from rule policies")
        if (why := _no_rules(start.components[name])) is not None:
            raise UsageError(f"{engine} edits rules, and {name} of the start has none ({why})")


def editable(candidate: Candidate, space: Space) -> bool:
    """Whether every component that the space edits is a rule list: a front may hold programs and models as well."""
    found = candidate.components
    return all(name in found and _no_rules(found[name]) is None for name in space.actions)


def _no_rules(text: str) -> str | None:
    from controllers.policies.rule import parse_rules

    try:
        parse_rules(text)
    except UsageError as error:
        return str(error)
    return None
