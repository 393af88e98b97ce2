"""Promoting: a release becomes challenger, a canary looks, and only then does the champion's alias move.

Promoted is not shipped. Where the canary fails, or somebody else moves the alias meanwhile, the alias stays and an
activation gap is opened in the ledger: with what was seen and what to do next. Only a canary that passes closes it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from experiments.places import corpus_path
from experiments.promote.canary import CHILD, Canaried, Plan, canary
from experiments.promote.cautions import cautions
from experiments.promote.config import PromoteConfig
from experiments.promote.desk import Desk, Say, certificate_digest, desk, same, shown
from experiments.promote.expected import recorded_states
from experiments.promote.ledger import Activated, Challenged, GapClosed
from experiments.promote.places import Kept, keep
from experiments.promote.ready import Ready
from experiments.registry import CHALLENGER, CHAMPION, PREVIOUS, Version
from signatures.errors import ActivationGap, StoreError, UsageError
from signatures.release import Release

if TYPE_CHECKING:
    from controllers.program import Controller
    from controllers.release import Champion


class Promoted(NamedTuple):
    """A release that production decides by now."""

    name: str
    version: str
    release: str
    "digest"
    from_version: str | None
    verdict: str
    "of the canary"
    ungated: str
    "why there is no certificate; empty where there is one"


def promote(given: Ready, *, say: Say, warn: Say | None = None, program: Sequence[str] = CHILD) -> Promoted:
    """Register the release, challenge, look, and move the alias. `warn`: told what should not be overlooked.

    Raises ActivationGap where production would not follow; UsageError where another promotion goes on; StoreError.
    """
    from controllers.release import Champion

    root = Path(given.config.root)
    with desk(given.name, root, say, warn) as at:
        before = at.registry.version_of(given.name, CHAMPION)
        release, version = _registered(given, at)
        # The ledger first: whatever ends this here, status then shows what is unfinished.
        at.record(_challenged(release, version, before))
        at.registry.point(given.name, CHALLENGER, version)
        say(f"version {version.version} of {given.name} is challenger")
        compiled = Champion(release, given.controller, {}, "")
        return activate(at, Attempted(given.config, compiled, version, before), program=program)


@dataclass(frozen=True)
class Attempted:
    """One try to make a version champion."""

    config: PromoteConfig
    compiled: Champion
    "the release, with the controller from the candidate's own file"
    version: Version
    before: Version | None
    "the champion when the try began"

    @property
    def alias(self) -> str:
        """By which the fresh process loads it: a version that is champion already is looked at as such."""
        return CHAMPION if same(self.before, self.version) else CHALLENGER


def activate(at: Desk, tried: Attempted, *, program: Sequence[str] = CHILD) -> Promoted:
    """Run the canary and move the alias; open a gap where it fails. Raises ActivationGap."""
    told = () if tried.alias == CHAMPION else tuple(_cautions(at, tried))
    seen = asyncio.run(canary(_plan(at, tried), program=program))
    if not seen.passed:
        raise _gap(at, tried, seen)
    at.say(seen.verdict)
    try:
        _move(at, tried)
    except (StoreError, ActivationGap) as error:
        raise _gap(at, tried, Canaried(False, "the alias was not moved", (str(error),))) from error
    release, version = tried.compiled.release, tried.version
    was = _from_version(at, tried)
    known = at.ledger.champion()
    if tried.alias == CHALLENGER or known is None or known.version != version.version:
        at.record(
            Activated(
                name=at.name,
                version=version.version,
                release=release.digest,
                candidate=release.candidate,
                from_version=was,
                certificate=certificate_digest(release),
                ungated=release.ungated,
                verdict=seen.verdict,
                evidence=(seen.verdict, *told),
                at=datetime.now(UTC),
            )
        )
    _close_gaps(at, tried, seen)
    at.say(f"champion: version {version.version} of {at.name}, before it {f'version {was}' if was else 'none'}")
    return Promoted(at.name, version.version, release.digest, was, seen.verdict, release.ungated)


def _cautions(at: Desk, tried: Attempted) -> Iterator[str]:
    for line in cautions(at.root, tried.compiled.release, tried.before, at.ledger.entries()):
        at.warn(f"WARNING: {line}")
        yield line


def _from_version(at: Desk, tried: Attempted) -> str | None:
    """The champion before; for a version whose alias had moved when it was broken off, the one when it challenged."""
    if tried.alias == CHALLENGER:
        return None if tried.before is None else tried.before.version
    entries = at.ledger.entries()
    begun = [one for one in entries if isinstance(one, Challenged) and one.version == tried.version.version]
    return begun[-1].from_version if begun else None


def _registered(given: Ready, at: Desk) -> tuple[Release, Version]:
    from optimizers.promotion import write_release

    with TemporaryDirectory(prefix="tiller-promotion-") as temporary:
        folder = Path(temporary) / "release"
        release = write_release(folder, given.promotion(), at_s=time.time())
        keep(at.root, at.name, release.digest, Kept(given.config, given.text))
        version = at.registry.create(at.name, folder, tags_for(release))
        at.say(f"release {release.digest} of candidate {release.candidate}: {_how(release)}")
        if given.asked.with_pyfunc:
            made = at.registry.create_pyfunc(at.name, folder, tags_for(release))
            at.say(f"pyfunc: version {made.version} of {made.name}, for `mlflow models serve`")
    return release, version


def tags_for(release: Release) -> dict[str, str]:
    """The tags of a version."""
    lineage, certificate = release.lineage, release.certificate
    found = {
        "tiller.candidate": release.candidate,
        "tiller.gate": "" if certificate is None else certificate.gate,
        "tiller.ungated": release.ungated,
        "tiller.generation": "" if lineage.generation is None else str(lineage.generation),
        "tiller.search_run": lineage.search_run or "",
        "tiller.name": lineage.name,
    }
    return {name: text for name, text in found.items() if text}


def _how(release: Release) -> str:
    return f"UNGATED: {release.ungated}" if release.certificate is None else release.certificate.sentence


def _challenged(release: Release, version: Version, before: Version | None) -> Challenged:
    return Challenged(
        name=release.name,
        version=version.version,
        release=release.digest,
        candidate=release.candidate,
        from_version=None if before is None else before.version,
        certificate=certificate_digest(release),
        ungated=release.ungated,
        at=datetime.now(UTC),
    )


def _plan(at: Desk, tried: Attempted) -> Plan:
    from experiments.catalogue import load_benchmark
    from experiments.wiring import model_of

    config = tried.config
    benchmark = load_benchmark(config.benchmark, config.options)
    worker_lm = model_of(config.worker_lm or config.lm, config.api_base) if config.worker == "chat" else None
    return Plan(
        config=config,
        name=at.name,
        alias=tried.alias,
        compiled=tried.compiled,
        recorded=asyncio.run(recorded_states(corpus_path(config, at.root, benchmark.id))),
        before=None if tried.alias == CHAMPION else _controller_of(at, tried),
        benchmark=benchmark,
        worker=benchmark.worker(config.worker, worker_lm),
    )


def _controller_of(at: Desk, tried: Attempted) -> Controller | None:
    """The present champion's controller, to choose states that tell the two apart; None where it does not load."""
    from controllers.release import Here, loaded
    from experiments.wiring import model_of

    if tried.before is None:
        return None
    source = at.source(CHAMPION)
    try:
        lm = model_of(tried.config.lm, tried.config.api_base)
        return loaded(source.files(tried.before.token), Here(lm=lm), where=source.shown).controller
    except (UsageError, StoreError) as error:
        at.say(f"note: the present champion cannot be compared with: {error}")
        return None


def _move(at: Desk, tried: Attempted) -> None:
    """Move the aliases. Raises ActivationGap where they are not as they were when the try began; StoreError."""
    now = at.registry.version_of(at.name, CHAMPION)
    if not same(now, tried.before):
        raise ActivationGap(f"{CHAMPION} was moved by somebody else meanwhile: {shown(tried.before)} to {shown(now)}")
    challenger = at.registry.version_of(at.name, CHALLENGER)
    if tried.alias == CHALLENGER and not same(challenger, tried.version):
        raise ActivationGap(f"{CHALLENGER} was moved by somebody else meanwhile, to {shown(challenger)}")
    if tried.alias == CHAMPION:
        return
    if tried.before is not None:
        at.registry.point(at.name, PREVIOUS, tried.before)
    at.registry.point(at.name, CHAMPION, tried.version)


def _gap(at: Desk, tried: Attempted, seen: Canaried) -> ActivationGap:
    """Open the gap; the error that says so."""
    version, before = tried.version, tried.before
    at.open_gap(tried.compiled.release, version, before, seen)
    stays = "there is no champion" if before is None else f"champion stays version {before.version}"
    return ActivationGap(
        f"activation gap: version {version.version} of {at.name}: {seen.verdict}; {stays}. Mend it, then: {at.retry}"
    )


def _close_gaps(at: Desk, tried: Attempted, seen: Canaried) -> None:
    """Close the gaps of this version and of those before it."""
    for gap in at.ledger.open_gaps():
        if int(gap.version) <= int(tried.version.version):
            own = gap.release == tried.compiled.release.digest
            verdict = seen.verdict if own else f"production is past it, at version {tried.version.version}"
            at.record(
                GapClosed(
                    name=gap.name,
                    version=gap.version,
                    release=gap.release,
                    candidate=gap.candidate,
                    verdict=verdict,
                    evidence=(seen.verdict,),
                    at=datetime.now(UTC),
                )
            )
            at.say(f"gap of version {gap.version} closed{'' if own else f': {verdict}'}")
