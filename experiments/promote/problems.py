"""What the aliases say otherwise than the promotion ledger, and what to do about each difference."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.promote.desk import close_gaps_command
from experiments.promote.gaps import unfinished
from experiments.promote.ledger import Challenged, Entry
from experiments.promote.places import kept_file
from experiments.promote.reigns import Reign, reign_of, reigns_of
from experiments.registry import CHALLENGER, CHAMPION, Registry, Version


class Seen(NamedTuple):
    """One registered model, as its ledger and its registry have it."""

    name: str
    root: Path
    registry: Registry
    entries: Sequence[Entry]


def problems_of(seen: Seen, champion: Version | None, challenger: Version | None) -> Iterator[str]:
    """A line for each thing that is not as the ledger has it, with the next step. Raises StoreError.

    `champion`, `challenger`: what the aliases name now.
    """
    broken_off = {Reign(o.version, o.release) for o in unfinished(seen.entries) if isinstance(o, Challenged)}
    own = None if champion is None else reign_of(champion)
    if own not in broken_off:
        yield from _champion(seen, champion)
    for version, release in broken_off:
        there = f", and {CHAMPION} names it" if own == (version, release) else ""
        yield (
            f"version {version} was challenged and never decided on{there}: the promotion was broken off; next:"
            f" {close_gaps_command(seen.name, seen.root)}"
        )
    challenged = {(one.version, one.release) for one in seen.entries}
    if challenger is not None and reign_of(challenger) not in challenged:
        yield (
            f"{CHALLENGER} names version {challenger.version}, of which the ledger knows nothing: it was set by"
            " hand, or from another run root; the next promotion sets it anew"
        )


def _champion(seen: Seen, now: Version | None) -> Iterator[str]:
    line = reigns_of(seen.entries)
    if not line:
        if now is not None:
            yield f"{CHAMPION} names version {now.version}, and the ledger has no champion: it was set by hand"
        return
    last = line[-1]
    there = seen.registry.version(seen.name, last.version)
    gone = there is None or reign_of(there) != last
    if now is None:
        why = "its version was deleted" if gone else "the alias was dropped by hand"
        yield f"{CHAMPION} names nothing, the ledger says version {last.version}: {why}; next: {_mend(seen, now, gone)}"
    elif reign_of(now) != last:
        yield (
            f"{CHAMPION} names version {now.version}, the ledger says version {last.version}: it was moved by hand;"
            f" next: {_mend(seen, now, gone)}"
        )


def _mend(seen: Seen, now: Version | None, gone: bool) -> str:
    """The command that makes the ledger's champion decide again: a rollback, where that would go there."""
    line, root = reigns_of(seen.entries), shlex.quote(str(seen.root))
    if not gone and (now is None or reign_of(now) not in line):
        return f"python -m experiments.rollback_run {seen.name} root={root}"
    file = shlex.quote(str(kept_file(seen.root, seen.name, line[-1].release)))
    return f"python -m experiments.promote_run {file} name={seen.name} root={root}"
