"""What promoting and rolling back share: one registered model's lock, ledger and registry, and who is told."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.promote.ledger import Entry, GapOpened, PromotionLedger, ledger_path, tags_of
from experiments.promote.places import Kept, locked
from experiments.promote.ready import loaded_from
from experiments.registry import CHALLENGER, Registry, RegistrySource, Version
from experiments.tracking import store_of
from signatures.digest import digest_of
from signatures.errors import ReleaseRefused, StoreError
from signatures.release import Release

if TYPE_CHECKING:
    from controllers.release import Champion
    from experiments.promote.canary import Canaried

Say = Callable[[str], object]
"""One line for whoever watches."""


@dataclass(frozen=True)
class Desk:
    """What promoting and rolling back share: one model's ledger and registry, and who is told."""

    name: str
    root: Path
    ledger: PromotionLedger
    registry: Registry
    say: Say
    warn: Say
    "for what should not be overlooked"

    @property
    def retry(self) -> str:
        """The command that tries again what is open."""
        return close_gaps_command(self.name, self.root)

    def record(self, entry: Entry) -> None:
        """An entry of the ledger, and its mirror in MLflow; without the mirror the ledger holds all the same."""
        head = self.ledger.add(entry)
        title = f"{entry.kind} {self.name} version {entry.version}"
        try:
            self.registry.note(
                self.name, tags_of(entry, head), {}, at_ms=round(entry.at.timestamp() * 1000), title=title
            )
        except StoreError as error:
            self.say(f"note: `{title}` stands in the ledger and not in MLflow: {error}")

    def open_gap(self, release: Release, version: Version, stays: Version | None, seen: Canaried) -> None:
        """Record that production does not follow, with the evidence, while `stays` is or was champion; tell it."""
        self.record(
            GapOpened(
                name=self.name,
                version=version.version,
                release=release.digest,
                candidate=release.candidate,
                from_version=None if stays is None else stays.version,
                certificate=certificate_digest(release),
                ungated=release.ungated,
                verdict=seen.verdict,
                evidence=seen.evidence,
                next_step=self.retry,
                at=datetime.now(UTC),
            )
        )
        for line in seen.evidence:
            if line not in seen.verdict:  # which the error will say
                self.say(f"  {line}")

    def source(self, alias: str) -> RegistrySource:
        """The releases that an alias names."""
        return RegistrySource(self.name, alias, self.registry.store)


@contextmanager
def desk(name: str, root: Path, say: Say, warn: Say | None = None) -> Iterator[Desk]:
    """Nobody else promotes or rolls back meanwhile. Raises UsageError where somebody does, StoreError."""
    with locked(root, name), PromotionLedger(ledger_path(root, name)) as ledger:
        yield Desk(name, root, ledger, Registry(store_of(root)), say, warn or say)


def close_gaps_command(name: str, root: Path) -> str:
    """What to type to try again what is open."""
    return f"python -m experiments.promote_run --close-gaps name={name} root={shlex.quote(str(root))}"


def as_compiled(at: Desk, version: Version, kept: Kept, release: str) -> Champion:
    """The release of a version, checked, with the controller from the kept candidate's own file. Raises UsageError."""
    from controllers.release import Champion, Here, loaded
    from experiments.wiring import model_of

    lm = model_of(kept.config.lm, kept.config.api_base)
    source = at.source(CHALLENGER)
    files = source.files(version.token)
    found = loaded(files, Here(lm=lm, digest=release, name=at.name), token=version.token, where=source.shown)
    controller = loaded_from(Path(f"kept of version {version.version}"), kept.candidate, lm)
    if controller.digest != found.release.candidate:
        raise ReleaseRefused(f"candidate: {controller.digest} was kept, version {version.version} says otherwise")
    return Champion(found.release, controller, {}, version.token)


def certificate_digest(release: Release) -> str | None:
    """Names the certificate in the ledger; None where there is none."""
    return None if release.certificate is None else digest_of(release.certificate)


def same(one: Version | None, other: Version | None) -> bool:
    """Whether two aliases name one version, or neither names any."""
    return (None if one is None else one.token) == (None if other is None else other.token)


def shown(version: Version | None) -> str:
    """The version in a message."""
    return "none" if version is None else f"version {version.version}"
