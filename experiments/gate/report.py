"""What every gate leaves behind: one JSON file, one Markdown page, one MLflow run, from one record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import Field, JsonValue

from experiments.events import ArtifactWritten, Event, EventLog, InsidePath, Name, SearchFinished, SearchStarted
from experiments.whole_file import write_whole
from optimizers.gate.records import Decided, Evidence
from optimizers.gate.spend import Spend
from signatures.records import Finite, Record

JSON_FILE: Final = "report.json"
MARKDOWN_FILE: Final = "report.md"
MLFLOW_WAIT_S: Final = 30.0
GATHERED: Final = "task means on [0, 1]; effects are in points, a hundredth of that range"


class Excluded(Record):
    """What infrastructure took from one arm: left out and counted, never scored."""

    arm: str
    excluded: int = Field(ge=0)
    episodes: int = Field(ge=0)
    "all that were begun, the excluded ones too"


class Contrast(Record):
    """One comparison on one objective: treatment less control."""

    name: str
    family: str
    "of the Benjamini-Hochberg correction that gave its q"
    treatment: str
    control: str
    evidence: Evidence
    decided: Decided | None = None
    confounded: tuple[str, ...] = ()
    "why the spend of the two cannot be compared"


class GateReport(Record):
    """One gate's result, whatever it says."""

    kind: Name
    "such as gate-a; the engine that MLflow shows"
    title: str
    benchmark: Name
    worker: str
    who: str = ""
    "whose work it is, in words: `simulated worker NAME`, or `model NAME`"
    seed: int
    split: str
    config: Mapping[str, JsonValue]
    sentence: str
    "the result in words, negative ones too"
    contrasts: tuple[Contrast, ...]
    spend: tuple[Spend, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    gap: Finite | None = None
    "search value less holdout value of the candidate on the primary objective; None: nothing was searched"
    numbers: Mapping[str, Finite] = Field(default_factory=dict)
    "what else was measured, by name"
    notes: tuple[str, ...] = ()
    figures: tuple[InsidePath, ...] = ()
    "PNG files beside the report"
    pages: Mapping[str, str] = Field(default_factory=dict)
    "heading -> Markdown: tables of this gate alone"
    data: Mapping[str, JsonValue] = Field(default_factory=dict)
    "what figures were drawn from"

    @property
    def whose(self) -> str:
        """Whose work it is, in words."""
        return self.who or f"worker {self.worker}"


class Written(NamedTuple):
    """Where a report is."""

    json: Path
    markdown: Path


def write_report(folder: Path, report: GateReport) -> Written:
    """Write `report.json` and `report.md` into an existing folder, each whole or not at all. Raises StoreError."""
    written = Written(folder / JSON_FILE, folder / MARKDOWN_FILE)
    write_whole(written.json, json.dumps(report.model_dump(mode="json"), indent=1) + "\n")
    write_whole(written.markdown, markdown_of(report))
    return written


def tell(log: EventLog, folder: Path, report: GateReport) -> None:
    """The events of one finished report, its files among them: what makes one MLflow run. Raises StoreError."""
    flat = {name: value if isinstance(value, str) else json.dumps(value) for name, value in report.config.items()}
    objectives = tuple(dict.fromkeys(one.evidence.objective for one in report.contrasts))
    log.emit(
        SearchStarted(
            run_id=folder.name,
            benchmark=report.benchmark,
            engine=report.kind,
            seed=report.seed,
            config=flat,
            tags={"tiller.sentence": report.sentence, "tiller.worker": report.whose, "tiller.split": report.split},
            objectives=objectives,
        )
    )
    for path in (JSON_FILE, MARKDOWN_FILE, *report.figures):
        log.emit(ArtifactWritten.of(folder, path))
    log.emit(SearchFinished(metrics=metrics_of(report)))


def publish(folder: Path, report: GateReport, *, tracking: bool) -> tuple[Written, str]:
    """Write the report, log its events and, with `tracking`, mirror them into MLflow; the line on how that went.

    Told again after a resumed run, it is the same MLflow run. Raises StoreError, UsageError.
    """
    written = write_report(folder, report)
    lines: list[str] = []
    with mirrored(folder, lines, tracking=tracking) as listen, EventLog(folder, listen=listen) as log:
        tell(log, folder, report)
    return written, "".join(lines)


def metrics_of(report: GateReport) -> dict[str, float]:
    """The report as flat metrics: each contrast's effect, interval, p and q by objective, the spend, the numbers."""
    metrics: dict[str, float] = {}
    for one in report.contrasts:
        found = one.evidence
        shown = {"effect": found.effect, "lo": found.lo, "hi": found.hi, "p": found.p, "q": found.q}
        for name, value in {**shown, "n": float(found.n), "e_value": found.e_value, "mde": found.mde}.items():
            if value is not None:
                metrics[f"{one.name}/{found.objective}/{name}"] = value
    for spend in report.spend:
        for name in ("attempts", "turns", "tokens", "usd"):
            if (amount := getattr(spend, name)) is not None:
                metrics[f"spend/{spend.arm}/{name}"] = float(amount)
    if report.gap is not None:
        metrics["gap"] = report.gap
    return {**metrics, **report.numbers}


def markdown_of(report: GateReport) -> str:
    """The report as one page."""
    where = f"{report.benchmark}, {report.whose}, split {report.split}, seed {report.seed}"
    parts = [f"# {report.title}", report.sentence, f"Measured on {where}: {GATHERED}."]
    parts += [f"![{figure}]({figure})" for figure in report.figures]
    parts += [part for heading, text in report.pages.items() for part in (f"## {heading}", text)]
    for family in dict.fromkeys(one.family for one in report.contrasts):
        parts += [f"## Contrasts: {family}", _contrasts([c for c in report.contrasts if c.family == family])]
    decided = [one for one in report.contrasts if one.decided or one.confounded]
    if decided:
        parts += ["## Decisions", "\n".join(line for one in decided for line in _reasons(one))]
    if report.spend:
        parts += ["## Spend", _spend(report)]
    parts += ["## Further numbers", _numbers(report)]
    if report.notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in report.notes)]
    parts += ["## Config", "```json\n" + json.dumps(dict(report.config), indent=1, sort_keys=True) + "\n```"]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    rule = [":--", *["--:"] * (len(header) - 1)]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *escaped))


def points(value: float | None, *, signed: bool = True) -> str:
    """A share as points; `-` for None."""
    return "-" if value is None else f"{value * 100:{'+' if signed else ''}.1f}"


def level(value: float | None) -> str:
    """A p or q; `-` for None."""
    return "-" if value is None else f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"


def interval_text(evidence: Evidence) -> str:
    """`+13.2 [+2.0, +24.2]` in points."""
    if evidence.effect is None:
        return "-"
    return f"{points(evidence.effect)} [{points(evidence.lo)}, {points(evidence.hi)}]"


_HEADER: Final = (
    *("contrast", "objective", "n", "discordant", "control", "treatment", "effect [interval]", "e-value", "p", "q"),
    *("least p", "MDE", "power 5", "power 10", "missing"),
)


def _contrasts(found: Sequence[Contrast]) -> str:
    return table(_HEADER, [_row(one.name, one.evidence) for one in found])


def _row(name: str, one: Evidence) -> list[str]:
    return [
        name,
        one.objective,
        str(one.n),
        f"{one.discordant} ({one.wins}+ {one.losses}-)",
        points(one.baseline, signed=False),
        points(one.candidate, signed=False),
        interval_text(one),
        f"{one.e_value:.3g}",
        level(one.p),
        level(one.q),
        level(one.min_p),
        points(one.mde, signed=False),
        *(_power(one, share) for share in (0.05, 0.10)),
        str(one.missing),
    ]


def _power(one: Evidence, effect: float) -> str:
    return next((f"{power:.2f}" for key, power in one.power.items() if abs(float(key) - effect) < 1e-9), "-")


def _reasons(one: Contrast) -> Iterator[str]:
    name = f"**{one.name}** on {one.evidence.objective}"
    if one.decided is not None:
        yield f"- {name}: {one.decided.decision}. {'; '.join(one.decided.reasons)}"
    if one.confounded and (one.decided is None or one.decided.decision != "confounded"):
        yield f"- {name}: spend not comparable: {'; '.join(one.confounded)}"


def _spend(report: GateReport) -> str:
    excluded = {one.arm: one for one in report.excluded}
    rows = []
    for spend in report.spend:
        gone = excluded.get(spend.arm)
        amounts = [_amount(getattr(spend, name)) for name in ("attempts", "turns", "tokens", "usd")]
        rows.append([spend.arm, str(spend.episodes), *amounts, "-" if gone is None else str(gone.excluded)])
    return table(("arm", "episodes", "attempts", "turns", "tokens", "usd", "infra-excluded"), rows)


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


def _numbers(report: GateReport) -> str:
    gap = "no gap between search and holdout: no candidate of a search went to the holdout here"
    if report.gap is not None:
        gap = f"search value less {report.split} value: {points(report.gap)} points"
    return "\n".join([f"- {gap}", *(f"- {name}: {value:.4g}" for name, value in report.numbers.items())])


@contextmanager
def mirrored(folder: Path, lines: list[str], *, tracking: bool) -> Iterator[Callable[[Event], None] | None]:
    """What an event log tells its events while MLflow mirrors them; how that went is added to `lines`."""
    if not tracking:
        yield None
        return
    from experiments.mirror import Mirror

    mirror = Mirror(folder)
    try:
        yield mirror.send
    finally:
        lines.append(mirror.close(MLFLOW_WAIT_S))
