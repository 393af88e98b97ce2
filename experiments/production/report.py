"""What a production run leaves: one record, a table, and the events that make its MLflow run.

Metric names: `success/<objective>` on [0, 1] by checkers, `tier/<tier>/share` of decisions, `fallback/share`,
`usable/share` of episodes that replay can use for other candidates; counts of episodes, attempts, failures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue
from rich.table import Table

from controllers.corpus import SqliteCorpus
from controllers.production import PRODUCTION
from controllers.redaction import redacted
from experiments.events import ArtifactWritten, CandidateScored, EventLog, SearchStarted
from experiments.production.run_log import RunLog
from experiments.production.served import Served, served_of
from signatures.digest import canonical_json
from signatures.records import NonNegative, Record

if TYPE_CHECKING:
    from experiments.production.parts import Prepared

REPORT: Final = "report.json"
SHORT: Final = 8
"""Characters of a digest in a table."""


class ProductionReport(Record):
    """The run: what each release did in it."""

    run: str
    benchmark: str
    worker: str
    origin: str
    "where the tasks come from"
    tasks: int
    config: Mapping[str, JsonValue]
    served: tuple[Served, ...]
    "one per release that decided here, of this run's episodes alone"
    corpus: str
    wall_s: NonNegative
    "of this process; a run that went on took longer"


async def report_of(
    given: Prepared, folder: Path, corpus: SqliteCorpus, log: RunLog, *, wall_s: float
) -> ProductionReport:
    """The report of what the log says was played. Raises StoreError."""
    played, config = log.played(), given.config.model_dump(mode="json")
    served = [await served_of(corpus, given.benchmark, log.releases[one], only=ids) for one, ids in played.items()]
    return ProductionReport(
        run=folder.name,
        benchmark=given.benchmark.id,
        worker=given.worker.fingerprint.name,
        origin=given.asked.origin,
        tasks=len(given.asked.tasks),
        config={name: redacted(value) if isinstance(value, str) else value for name, value in config.items()},
        served=tuple(served),
        corpus=str(given.corpus),
        wall_s=wall_s,
    )


def table_of(report: ProductionReport) -> Table:
    """A column per release."""
    table = Table("by checkers", *(f"release {one.release[:SHORT]}" for one in report.served))
    rows: dict[str, list[str]] = {"episodes": [f"{one.episodes:,}" for one in report.served]}
    rows["ended by infrastructure"] = [f"{one.failed:,}" for one in report.served]
    rows["attempts"] = [f"{one.attempts:,}" for one in report.served]
    for name in dict.fromkeys(name for one in report.served for name in one.success):
        rows[name] = [f"{one.success[name].mean:.3f}" if name in one.success else "-" for one in report.served]
    for tier in dict.fromkeys(tier for one in report.served for tier in one.by_tier):
        rows[f"decisions by {tier}"] = [_share(one.by_tier.get(tier, 0), one.decisions) for one in report.served]
    rows["of them fallbacks"] = [_share(one.fallbacks, one.decisions) for one in report.served]
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def lines_of(report: ProductionReport) -> Iterator[str]:
    """What replay can use of each release's episodes, and a warning where a model was down."""
    for one in report.served:
        prefix = f"release {one.release[:SHORT]}: " if len(report.served) > 1 else ""
        yield f"{prefix}{one.sentence}"
        if one.fallbacks:
            yield f"{prefix}{one.fallbacks:,} decisions were the fallback's: the model of their policy was down"


def metrics_of(report: ProductionReport) -> dict[str, float]:
    """The whole run, all releases together."""
    return _metrics(report.served)


def started_event(given: Prepared, folder: Path) -> SearchStarted:
    """The event that begins the run."""
    config = {
        name: value if isinstance(value, str) else canonical_json(value)
        for name, value in given.config.model_dump(mode="json").items()
    }
    tags = {
        "tiller.split": PRODUCTION,
        "tiller.worker": given.worker.fingerprint.name,
        "tiller.corpus": str(given.corpus),
    }
    return SearchStarted(
        run_id=folder.name,
        benchmark=given.benchmark.id,
        engine=PRODUCTION,
        seed=given.config.seed,
        config=config,
        tags=tags,
        objectives=tuple(objective.name for objective in given.benchmark.objectives),
    )


def tell(log: EventLog, folder: Path, report: ProductionReport) -> None:
    """The events of a run that has ended but for its end: one child run per release, and the report."""
    for one in report.served:
        log.emit(
            CandidateScored(
                name=f"release {one.release[:SHORT]}",
                digest=one.candidate,
                tags={"tiller.release": one.release, "tiller.usable": one.sentence},
                metrics=_metrics((one,)),
            )
        )
    log.emit(ArtifactWritten.of(folder, REPORT))


def _metrics(served: tuple[Served, ...]) -> dict[str, float]:
    episodes, decisions = sum(one.episodes for one in served), sum(one.decisions for one in served)
    metrics = {
        "episodes": float(episodes),
        "failed": float(sum(one.failed for one in served)),
        "attempts": float(sum(one.attempts for one in served)),
    }
    tiers: Counter[str] = Counter()
    sums: dict[str, tuple[float, int]] = {}
    for one in served:
        tiers.update(one.by_tier)
        for name, level in one.success.items():
            total, n = sums.get(name, (0.0, 0))
            sums[name] = (total + level.mean * level.n, n + level.n)
    metrics |= {f"success/{name}": total / n for name, (total, n) in sums.items()}
    metrics |= {f"tier/{tier}/share": count / decisions for tier, count in tiers.items()}
    if decisions:
        metrics["fallback/share"] = sum(one.fallbacks for one in served) / decisions
    if episodes:
        metrics["usable/share"] = sum(one.usable for one in served) / episodes
        metrics["cost/attempts"] = metrics["attempts"] / episodes
    return metrics


def _share(count: int, of: int) -> str:
    return f"{count:,} ({count / of:.0%})" if of else "-"
