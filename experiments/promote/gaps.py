"""Activation gaps: promotions that production does not follow yet, and trying them again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.promote.canary import CHILD
from experiments.promote.desk import Say, as_compiled, desk, same
from experiments.promote.ledger import Activated, Challenged, Entry, GapClosed, GapOpened, RolledBack, ledger_there
from experiments.promote.places import kept_of
from experiments.promote.promoting import Attempted, Promoted, activate
from experiments.registry import CHALLENGER, CHAMPION
from signatures.errors import UsageError


def close_gaps(
    name: str, root: Path, *, say: Say, warn: Say | None = None, program: Sequence[str] = CHILD
) -> Promoted | None:
    """Try again what is open: the newest gap, or a challenge that was broken off. None where nothing is open.

    A canary that passes closes it, and the gaps of the versions before it, which production is past. Raises
    UsageError where its files are not below this root, its version is gone, or nothing was promoted with this root;
    ActivationGap where it fails again.
    """
    ledger_there(root, name)
    with desk(name, root, say, warn) as at:
        found = unfinished(at.ledger.entries())
        if not found:
            return None
        newest = max(found, key=lambda entry: int(entry.version))
        say(f"trying version {newest.version} of {name} again: {len(found)} open")
        version = at.registry.version(name, newest.version)
        kept = kept_of(root, name, newest.release)
        if version is None or kept is None:
            what = "its version was deleted" if version is None else f"what was kept of it is not below {root}"
            raise UsageError(f"version {newest.version} of {name}: {what}; promote the candidate anew")
        before = at.registry.version_of(name, CHAMPION)
        if not same(before, version):
            at.registry.point(name, CHALLENGER, version)
        compiled = as_compiled(at, version, kept, newest.release)
        return activate(at, Attempted(kept.config, compiled, version, before), program=program)


def unfinished(entries: Sequence[Entry]) -> tuple[Challenged | GapOpened, ...]:
    """What is open: gaps that no canary closed, and challenges of which the ledger does not say how they ended.

    A challenge is over once a later version is champion, or once it was rolled back from: to try it again would take
    production back to it unasked.
    """
    found: dict[tuple[str, str], Challenged | GapOpened] = {}
    for entry in entries:
        match entry:
            case Challenged() | GapOpened():
                found[entry.version, entry.release] = entry
            case GapClosed():
                found.pop(entry.key, None)
            case _:
                found = {key: one for key, one in found.items() if not _settled(one, entry)}
    return tuple(found.values())


def _settled(one: Challenged | GapOpened, by: Activated | RolledBack) -> bool:
    if isinstance(one, GapOpened):
        return False
    return isinstance(by, Activated) or one.version == by.from_version
