"""What a transfer says: the matrix with intervals, what was carried over how, and what learning took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from experiments.gate.arms.contrasts import Measured
from experiments.gate.report import Contrast, GateReport, interval_text, level, points, table
from experiments.transfer.config import TransferConfig
from experiments.transfer.domains import Domain, sizes_said
from experiments.transfer.learning import Taught, lesson_said
from experiments.transfer.matrix_figure import FIGURE, sources_of
from experiments.transfer.pool import POOL
from experiments.transfer.trying import FROZEN, OTHERS, Cell, Tried
from optimizers.intervals import mean_interval

KIND: Final = "transfer"


def report_of(
    config: TransferConfig, taught: Taught, tried: Sequence[Tried], cells: Sequence[Cell], further: Sequence[Contrast]
) -> GateReport:
    """The whole result as one report. Raises EvidenceError where a controller has no episode left."""
    domains = [one.domain for one in tried]
    measured = [each for one in tried for each in one.measured.values()]
    return GateReport(
        kind=KIND,
        title=f"Transfer between {', '.join(one.name for one in domains)}",
        benchmark="+".join(one.name for one in domains),
        worker=", ".join(dict.fromkeys(one.ready.worker.fingerprint.name for one in domains)),
        who="; ".join(f"{one.name}: {one.who}" for one in domains),
        seed=config.seed,
        split="dev",
        config=config.model_dump(mode="json"),
        sentence=sentence_of(cells, config.alpha),
        contrasts=(*(cell.contrast for cell in cells), *further),
        spend=tuple(one.spend for one in measured),
        excluded=tuple(one.excluded for one in measured),
        numbers=_numbers(taught, tried),
        notes=tuple(_notes(config, taught, tried, domains)),
        figures=(FIGURE,),
        pages={"Matrix": matrix_table(tried, cells)},
        data={"matrix": [_entry(cell) for cell in cells], "carried": _carried(tried)},
    )


def sentence_of(cells: Sequence[Cell], alpha: float) -> str:
    """Which transfers are shown to help, which to harm, and what learning in the domain itself does."""
    away = [cell for cell in cells if cell.source not in (cell.target, POOL)]
    own = [cell for cell in cells if cell.source == cell.target]
    pooled = [cell for cell in cells if cell.source == POOL]
    said = []
    for what, group in (("from one domain to another", away), ("from all others", pooled), ("in the domain", own)):
        if not group:
            continue
        helped = [_pair(cell) for cell in group if _level(cell) <= alpha]
        harmed = [_pair(cell) for cell in group if cell.contrast.evidence.p_harm <= alpha]
        one = f"{what}: {len(helped)} of {len(group)} are shown to beat the frozen controller"
        one += f" ({', '.join(helped)})" if helped else ""
        said.append(one + (f", {len(harmed)} to harm ({', '.join(harmed)})" if harmed else ", none to harm"))
    return f"Learned {'; '.join(said)}."


def matrix_table(tried: Sequence[Tried], cells: Sequence[Cell]) -> str:
    """Sources down, targets across: effect, interval and q; the frozen controller's own mean and n above them."""
    by_place = {(cell.source, cell.target): cell for cell in cells}
    targets = [one.domain.name for one in tried]
    first = [FROZEN + ": mean, n", *(_frozen(one) for one in tried)]
    rows = [
        [OTHERS if source == POOL else source, *(_cell(by_place[source, target]) for target in targets)]
        for source in sources_of(cells)
    ]
    return table(["learned on \\ tried on", *targets], [first, *rows])


def _cell(cell: Cell) -> str:
    decided = cell.contrast.decided
    verdict = "" if decided is None else f" {decided.decision}"
    return f"{interval_text(cell.contrast.evidence)} q {level(cell.contrast.evidence.q)}{verdict}"


def _frozen(tried: Tried) -> str:
    frozen = tried.measured[FROZEN]
    found = mean_interval(frozen.values(_primary(tried.domain)))
    return f"{points(found.mean, signed=False)} n={found.n}"


def _pair(cell: Cell) -> str:
    source = OTHERS if cell.source == POOL else cell.source
    return f"{source} -> {cell.target} {interval_text(cell.contrast.evidence)}"


def _level(cell: Cell) -> float:
    found = cell.contrast.evidence
    return found.p if found.q is None else found.q


def _numbers(taught: Taught, tried: Sequence[Tried]) -> dict[str, float]:
    numbers = {f"learning/{name}/recorded_attempts": float(n) for name, n in taught.recorded.items()}
    for kind, lessons in (("own", taught.own), ("all others", taught.pooled)):
        numbers |= {f"learning/{kind}/{name}/live_attempts": float(one.live) for name, one in lessons.items()}
    for one in tried:
        for each in one.measured.values():
            if (mean := _mean(each, _primary(one.domain))) is not None:
                numbers[f"{each.name}: mean {_primary(one.domain)}"] = mean
    return numbers


def _mean(measured: Measured, objective: str) -> float | None:
    return mean_interval(measured.values(objective)).mean


def _primary(domain: Domain) -> str:
    return domain.ready.benchmark.objectives[0].name


def _notes(config: TransferConfig, taught: Taught, tried: Sequence[Tried], domains: Sequence[Domain]) -> list[str]:
    notes = [
        "every controller of a column was played on the same tasks and seeds at one grant of "
        f"{config.attempts} attempts of {config.turns} turns; the matrix is one family of Benjamini-Hochberg",
        "the frozen controller is continue@k, from which every search starts",
        *sizes_said(config, domains),
    ]
    notes += [f"learned on {name}: {lesson_said(one)}" for name, one in taught.own.items()]
    notes += [f"learned on all but {name}: {lesson_said(one)}" for name, one in taught.pooled.items()]
    notes += [
        f"{each.name}: {one.carried[source].said()}"
        for one in tried
        for source, each in one.measured.items()
        if source not in (FROZEN, one.domain.name)
    ]
    notes += [
        f"{each.name} is the frozen controller"
        for one in tried
        for source, each in one.measured.items()
        if source != FROZEN and one.carried[source].candidate.digest == one.carried[FROZEN].candidate.digest
    ]
    return notes


def _entry(cell: Cell) -> dict[str, JsonValue]:
    found, decided = cell.contrast.evidence, cell.contrast.decided
    return {
        "source": OTHERS if cell.source == POOL else cell.source,
        "target": cell.target,
        "verdict": None if decided is None else decided.decision,
        **found.model_dump(mode="json", include={"n", "baseline", "candidate", "effect", "lo", "hi", "p", "q", "mde"}),
    }


def _carried(tried: Sequence[Tried]) -> dict[str, JsonValue]:
    return {
        each.name: one.carried[source].model_dump(mode="json", exclude={"schema_version"})
        for one in tried
        for source, each in one.measured.items()
    }
