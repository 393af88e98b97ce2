"""Where a registered model stands: who decides, by which certificate, how well, and what is not as it should be.

The ledger says what was done, the aliases say what is. MLflow drops an alias with its version and tells nobody, so the
two are compared.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controllers.corpus import SqliteCorpus
from experiments import Benchmark
from experiments.catalogue import benchmark_ids, load_benchmark
from experiments.places import corpus_path
from experiments.promote.config import PromoteConfig
from experiments.promote.ledger import GapOpened, PromotionLedger, ledger_there
from experiments.promote.places import kept_of
from experiments.promote.problems import Seen, problems_of
from experiments.registry import CHALLENGER, CHAMPION, PREVIOUS, RELEASE_TAG, Registry, RegistrySource, Version
from experiments.tracking import store_of
from signatures.errors import StoreError, UsageError
from signatures.records import NonNegative, Record
from signatures.release import Release

if TYPE_CHECKING:
    import dspy

    from experiments.production.served import Served

DAY_S: Final = 86400.0


class Placed(Record):
    """The version that an alias names."""

    version: str
    release: str
    candidate: str
    "digests"
    certificate: str
    "the gate's sentence, or UNGATED and why"
    age_s: NonNegative
    "since the version was registered"


class Status(Record):
    """All that `status` shows."""

    name: str
    champion: Placed | None
    challenger: Placed | None
    previous: Placed | None
    served: str
    "what production recorded of the champion, in words"
    episodes: int | None
    "of the champion in production; None: not known"
    decisions: int | None
    drift: str
    "in words"
    alarm: bool | None
    "of drift; None: not measured"
    gaps: tuple[GapOpened, ...]
    problems: tuple[str, ...]
    ledger_rows: int

    @property
    def in_order(self) -> bool:
        """Whether nothing is open."""
        return not self.gaps and not self.problems


class Production(Record):
    """What is known of the champion's episodes."""

    served: str
    episodes: int | None = None
    decisions: int | None = None
    drift: str = "not measured"
    alarm: bool | None = None


def status_of(name: str, root: Path) -> Status:
    """Ask ledger, registry and corpus. Raises UsageError where nothing was promoted, StoreError."""
    path = ledger_there(root, name)
    registry = Registry(store_of(root))
    with PromotionLedger(path) as ledger:
        entries, head, gaps = ledger.entries(), ledger.head(), ledger.open_gaps()
    aliased = {alias: registry.version_of(name, alias) for alias in (CHAMPION, CHALLENGER, PREVIOUS)}
    problems: list[str] = []
    releases = {alias: _release(root, name, alias, one, problems) for alias, one in aliased.items()}
    problems += problems_of(Seen(name, root, registry, entries), aliased[CHAMPION], aliased[CHALLENGER])
    champion = releases[CHAMPION]
    seen = Production(served="no champion") if champion is None else asyncio.run(_production(root, name, champion))
    return Status(
        name=name,
        champion=_placed(aliased[CHAMPION], champion),
        challenger=_placed(aliased[CHALLENGER], releases[CHALLENGER]),
        previous=_placed(aliased[PREVIOUS], releases[PREVIOUS]),
        served=seen.served,
        episodes=seen.episodes,
        decisions=seen.decisions,
        drift=seen.drift,
        alarm=seen.alarm,
        gaps=gaps,
        problems=tuple(problems),
        ledger_rows=head.rows,
    )


def lines_of(status: Status) -> Iterator[str]:
    """The status for whoever asks, a line each."""
    for alias, one in (
        (CHAMPION, status.champion),
        (CHALLENGER, status.challenger),
        (PREVIOUS, status.previous),
    ):
        yield f"{alias}: {'none' if one is None else _shown(one)}"
    if status.champion is not None:
        yield f"certificate: {status.champion.certificate}"
    yield f"served: {status.served}"
    yield f"drift: {'ALARM: ' if status.alarm else ''}{status.drift}"
    for gap in status.gaps:
        yield f"GAP: version {gap.version}, since {gap.at:%Y-%m-%d %H:%M}: {gap.verdict}"
        yield from (f"  {line}" for line in gap.evidence if line not in gap.verdict)
        yield f"  next: {gap.next_step}"
    yield from (f"PROBLEM: {problem}" for problem in status.problems)
    if status.in_order:
        yield f"in order: no gap is open, ledger and aliases agree ({status.ledger_rows} entries)"


def age_text(seconds: float) -> str:
    """A time span in the unit that fits it."""
    for unit, size in (("days", DAY_S), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _shown(one: Placed) -> str:
    return f"version {one.version}, release {one.release}, candidate {one.candidate}, {age_text(one.age_s)} old"


def _placed(version: Version | None, release: Release | None) -> Placed | None:
    if version is None:
        return None
    certificate = "not known: the release does not load"
    if release is not None:
        gated = release.certificate
        certificate = f"UNGATED: {release.ungated}" if gated is None else f"{gated.sentence} ({gated.gate})"
    return Placed(
        version=version.version,
        release=version.tags.get(RELEASE_TAG, ""),
        candidate="" if release is None else release.candidate,
        certificate=certificate,
        age_s=max(0.0, time.time() - version.created_s),
    )


def _release(root: Path, name: str, alias: str, version: Version | None, problems: list[str]) -> Release | None:
    """The release of a version, checked as production checks it; what stands against it becomes a problem."""
    from controllers.release import Here, loaded

    if version is None:
        return None
    source = RegistrySource(name, alias, store_of(root))
    try:
        kept = kept_of(root, name, version.tags.get(RELEASE_TAG, ""))
        here = Here(lm=_lm(kept.config if kept else None), name=name)
        return loaded(source.files(version.token), here, token=version.token, where=source.shown).release
    except (UsageError, StoreError) as error:
        problems.append(f"{alias}: {error}")
        return None


async def _production(root: Path, name: str, release: Release) -> Production:
    """What production recorded of the champion. Raises StoreError."""
    from experiments.drift.measured import drift_of
    from experiments.production.served import served_of

    kept = kept_of(root, name, release.digest)
    config = kept.config if kept else PromoteConfig(benchmark=release.benchmark, root=str(root))
    benchmark = _benchmark(config)
    if benchmark is None:
        return Production(served=f"not known: benchmark {release.benchmark} was promoted elsewhere")
    path = corpus_path(config.model_copy(update={"corpus": None}), root, benchmark.id)
    if not _there(path):
        return Production(served="nothing yet", episodes=0, decisions=0, drift="nothing to compare yet")
    with closing(SqliteCorpus.open_readonly(path)) as corpus:
        served = await served_of(corpus, benchmark, release)
        drift = await drift_of(corpus, benchmark, release)
    return Production(
        served=told_of(served),
        episodes=served.episodes,
        decisions=served.decisions,
        drift=drift.sentence,
        alarm=drift.alarm,
    )


def told_of(served: Served) -> str:
    """What was served, in one line: decisions by tier, those of a fallback among them, and what replay can use."""
    tiers = ", ".join(f"{tier} {count}" for tier, count in served.by_tier.items()) or "none"
    fell = f", of them {served.fallbacks} by a fallback, the model being down" if served.fallbacks else ""
    return f"{served.decisions} decisions ({tiers}{fell}) in {served.episodes} episodes; {served.sentence}"


def _benchmark(config: PromoteConfig) -> Benchmark | None:
    if ":" not in config.benchmark and config.benchmark not in benchmark_ids():
        return None
    return load_benchmark(config.benchmark, config.options)


def _lm(config: PromoteConfig | None) -> dspy.LM | None:
    from experiments.wiring import model_of

    return None if config is None else model_of(config.lm, config.api_base)


def _there(file: Path) -> bool:
    return file.is_file()
