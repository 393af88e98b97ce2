"""Who was champion before whom, read off the promotion ledger: what a rollback goes back to, and what it never does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from experiments.promote.ledger import Activated, Entry, RolledBack
from experiments.registry import RELEASE_TAG, Version


class Reign(NamedTuple):
    """A champion. A version's number alone does not name it: one that was deleted is given again."""

    version: str
    release: str
    "digest"


def reigns_of(entries: Sequence[Entry]) -> tuple[Reign, ...]:
    """The champions that lead to the present one, oldest first: a rollback ends those after the one it restores."""
    line: list[Reign] = []
    for entry in entries:
        if not isinstance(entry, Activated | RolledBack):
            continue
        one = Reign(entry.version, entry.release)
        if one in line:
            del line[line.index(one) :]
        elif isinstance(entry, RolledBack):
            line = [known for known in line if known.version != entry.from_version]
        line.append(one)
    return tuple(line)


def before(entries: Sequence[Entry], now: Version | None) -> tuple[Reign, ...]:
    """The champions before the version that the alias names now, the last one first.

    Where the ledger does not know that version, or the alias names none, these are all that it knows.
    """
    line = reigns_of(entries)
    own = None if now is None else reign_of(now)
    return tuple(reversed(line[: line.index(own)] if own in line else line))


def reign_of(version: Version) -> Reign:
    """What the version would be called in the ledger."""
    return Reign(version.version, version.tags.get(RELEASE_TAG, ""))
