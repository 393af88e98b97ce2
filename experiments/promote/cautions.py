"""What whoever promotes should hear: a promotion goes on all the same, and the ledger keeps what was said."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.promote.ledger import Challenged, Entry, RolledBack
from experiments.promote.places import kept_file
from experiments.registry import CANDIDATE_TAG, RELEASE_TAG, Version
from signatures.digest import digest_of
from signatures.release import Release


def cautions(root: Path, release: Release, champion: Version | None, entries: Sequence[Entry]) -> Iterator[str]:
    """What speaks against the promotion and does not forbid it, a sentence each. `champion`: the present one.

    A gate shows that a controller is better than the gate's baseline; whether it is better than what decides now is
    shown only where the two are one. And a certificate does not end: one that was given before a rollback still says
    promote.
    """
    yield from _rolled_back(release, entries)
    if champion is None:
        return
    decides = champion.tags.get(CANDIDATE_TAG, "")
    if decides == release.candidate:
        yield f"this controller decides already, as version {champion.version}: nothing that it decides changes"
        return
    certificate = release.certificate
    if certificate is not None and certificate.baseline != decides:
        file = kept_file(root, release.name, champion.tags.get(RELEASE_TAG, ""))
        yield (
            f"the gate compared with {certificate.baseline}, not with the present champion, version"
            f" {champion.version} ({decides or 'not known'}): that this is better than what decides now was not shown."
            f" A gate with --baseline {shlex.quote(str(file))} would"
        )


def _rolled_back(release: Release, entries: Sequence[Entry]) -> Iterator[str]:
    """The last time that this controller was rolled back from."""
    known = {one.version: one for one in entries if isinstance(one, Challenged) and one.candidate == release.candidate}
    ended = [one for one in entries if isinstance(one, RolledBack) and one.from_version in known]
    if not ended:
        return
    last = ended[-1]
    own = release.certificate
    same = own is not None and digest_of(own) == known[str(last.from_version)].certificate
    yield (
        f"this controller was champion as version {last.from_version} and was rolled back from at"
        f" {last.at:%Y-%m-%d %H:%M}: {last.verdict}{'; its certificate is the same as then' if same else ''}"
    )
