"""Rolling back: the champion of before decides again, loaded and checked before the alias moves, looked at after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from experiments.promote.canary import CHILD, Canaried, Plan, canary
from experiments.promote.config import PromoteConfig
from experiments.promote.desk import Desk, as_compiled, certificate_digest, desk, same, shown
from experiments.promote.ledger import Activated, RolledBack, ledger_there
from experiments.promote.places import Kept, kept_of
from experiments.promote.reigns import before, reign_of, reigns_of
from experiments.registry import CHAMPION, PREVIOUS, RELEASE_TAG, Version
from signatures.errors import ActivationGap, ReleaseRefused, UsageError

if TYPE_CHECKING:
    from controllers.release import Champion


class Restored(NamedTuple):
    """A champion of before that decides again."""

    name: str
    version: str
    release: str
    from_version: str | None
    verdict: str
    "of the fresh process that was looked at afterwards"


def roll_back(
    name: str,
    root: Path,
    *,
    reason: str,
    say: Callable[[str], object] = lambda line: None,
    program: Sequence[str] = CHILD,
) -> Restored:
    """Make the previous champion champion again, and see that a fresh process follows.

    It goes back along the ledger, so a second rollback goes back further and never to what was rolled back.
    Raises UsageError where there is nothing to go back to, or it does not load any more: then nothing was moved;
    ActivationGap where a fresh process does not follow; StoreError.
    """
    ledger_there(root, name)
    with desk(name, root, say) as at:
        now = at.registry.version_of(name, CHAMPION)
        back = _previous(at, now)
        release = back.tags.get(RELEASE_TAG, "")
        kept = kept_of(root, name, release)
        compiled = _checked(at, back, kept, release)
        at.registry.point(name, CHAMPION, back)
        at.record(_entry(compiled, back, now, reason))
        _set_previous(at, back)
        say(f"champion: version {back.version} of {name} again, before it {shown(now)}: {reason}")
        config = kept.config if kept else PromoteConfig(root=str(root))
        plan = Plan(config=config, name=name, alias=CHAMPION, compiled=compiled)
        seen = asyncio.run(canary(plan, program=program))
        if not seen.passed:
            raise _gap(at, compiled, back, now, seen)
        say(seen.verdict)
    return Restored(name, back.version, release, None if now is None else now.version, seen.verdict)


def _previous(at: Desk, now: Version | None) -> Version:
    """The version to go back to: by the ledger; where that does not know the champion, by the alias."""
    entries = at.ledger.entries()
    found = still_there(at, now)
    if found is not None:
        return found
    aliased = at.registry.version_of(at.name, PREVIOUS)
    known = now is not None and reign_of(now) in reigns_of(entries)
    if aliased is not None and not known and not same(aliased, now):
        return aliased
    raise UsageError(f"{at.name}: no champion before {shown(now)} is left to go back to")


def still_there(at: Desk, now: Version | None) -> Version | None:
    """The last champion before this version that was not deleted, as the ledger has it; None where none is left."""
    for one in before(at.ledger.entries(), now):
        found = at.registry.version(at.name, one.version)
        if found is not None and reign_of(found) == one:
            return found
        at.say(f"note: version {one.version} of {at.name} was champion before, and was deleted")
    return None


def _checked(at: Desk, back: Version, kept: Kept | None, release: str) -> Champion:
    """The release to go back to, loaded as production loads it. Raises ReleaseRefused, UsageError, StoreError."""
    from controllers.release import Here, loaded

    known = [
        entry.release for entry in at.ledger.entries() if isinstance(entry, Activated) and entry.version == back.version
    ]
    if known and release != known[-1]:
        raise ReleaseRefused(f"version {back.version}: release {release} is its tag, the ledger has {known[-1]}")
    if kept is not None:
        return as_compiled(at, back, kept, release)
    source = at.source(PREVIOUS)
    return loaded(source.files(back.token), Here(digest=release, name=at.name), token=back.token, where=source.shown)


def _set_previous(at: Desk, back: Version) -> None:
    """`previous_champion` is what the next rollback would restore, or nothing."""
    further = still_there(at, back)
    if further is None:
        at.registry.drop(at.name, PREVIOUS)
    else:
        at.registry.point(at.name, PREVIOUS, further)


def _entry(compiled: Champion, back: Version, now: Version | None, reason: str) -> RolledBack:
    release = compiled.release
    return RolledBack(
        name=release.name,
        version=back.version,
        release=release.digest,
        candidate=release.candidate,
        from_version=None if now is None else now.version,
        certificate=certificate_digest(release),
        ungated=release.ungated,
        verdict=reason,
        evidence=(f"version {back.version} was loaded and checked before the alias moved",),
        at=datetime.now(UTC),
    )


def _gap(at: Desk, compiled: Champion, back: Version, now: Version | None, seen: Canaried) -> ActivationGap:
    at.open_gap(compiled.release, back, now, seen)
    return ActivationGap(
        f"activation gap: version {back.version} of {at.name} is champion again and a fresh process does not follow:"
        f" {seen.verdict}. Mend it, then: {at.retry}"
    )
