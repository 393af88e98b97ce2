"""Gate A from its config to its report: arms, contrasts, what happened inside, the surface, and one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Console

from experiments.events import EventLog
from experiments.gate.arms import steering
from experiments.gate.arms.contrasts import Measured, Terms, clusters_of, contrasts_of, measure
from experiments.gate.arms.surface import FIGURE, Cell, Place, cell_of, difficulty_cells, draw_surface, places_of
from experiments.gate.arms.within import Within, look_within
from experiments.gate.arms.workbench import begin, folder_for, opened, probe, ready_for
from experiments.gate.report import GateReport, mirrored, tell, write_report
from experiments.gate.workers import calls_said, said_of
from experiments.search.job import progress_bar
from experiments.search.search_job import console_of
from experiments.wiring import Ready, Wired
from judges.ledger import VerdictLedger
from optimizers.gate.spend import require_equal_grants
from signatures.digest import seed_of
from signatures.errors import UsageError
from signatures.records import Task

if TYPE_CHECKING:
    from experiments.gate_a_run import GateAConfig

KIND: Final = "gate-a"
ARMS: Final = "arms"
CEILING: Final = "ceiling.verdicts.db"
"""Verdicts on attempts that no selector chose: in the run folder, apart from those that count."""


@dataclass(frozen=True)
class Prepared:
    """A config that can run: whatever could be wrong with it was looked at, and nothing was written."""

    config: GateAConfig
    folder: Path
    base: Ready
    noisy: Mapping[float, Ready]
    "the benchmark at each noise of the surface"
    refine: str

    @property
    def who(self) -> str:
        """Whose work it is, in words."""
        return said_of(self.base.worker.fingerprint, self.base.benchmark.id)

    @property
    def terms(self) -> Terms:
        """What is agreed before any task is run."""
        config, benchmark = self.config, self.base.benchmark
        names = tuple(objective.name for objective in benchmark.objectives)
        return Terms(
            objectives=names,
            alpha=config.alpha,
            min_effect=config.min_effect or None,
            margins=dict.fromkeys(names[1:], config.margin),
            clusters=clusters_of(benchmark.families("dev"), self.base.splits.dev),
        )

    @property
    def arms(self) -> steering.Arms:
        """The arms at the budget of the primary contrast."""
        return steering.arms_at(self.config.attempts, self.config.turns, self.refine)

    @property
    def seeds(self) -> tuple[int, ...]:
        """One per repeat, the same for every arm."""
        return tuple(seed_of(KIND, self.config.seed, repeat) for repeat in range(self.config.repeats))

    @property
    def places(self) -> tuple[Place, ...]:
        """The cells of the surface."""
        config = self.config
        if not config.surface_tasks:
            return ()
        return places_of(config.grid_attempts, config.grid_turns, config.noise, usual=config.attempts)

    @property
    def surface_tasks(self) -> tuple[Task, ...]:
        """The tasks of each cell."""
        return self.base.splits.dev[: self.config.surface_tasks]


class Outcome(NamedTuple):
    """A gate that ended."""

    report: GateReport
    paths: Mapping[str, str]


def prepare(config: GateAConfig) -> Prepared:
    """Look at everything and write nothing. Raises UsageError, for a benchmark without a placebo too."""
    base = ready_for(config)
    if len(base.actions) < 2:
        raise UsageError(f"{base.benchmark.id} has no table of actions, so no placebo: Gate A has no control for it")
    refine = config.refine or ("untried" if "untried" in base.actions else "rule")
    legal = {*base.actions, "rule", "report", *(["text"] if base.lm is not None else [])} - {"none", "placebo"}
    if refine not in legal:
        raise UsageError(f"refine={refine}: f(trace) is one of {', '.join(sorted(legal))}")
    noises = config.noise if config.surface_tasks else ()
    noisy = {x: ready_for(config, options={config.noise_option: x}) for x in noises}
    if any(k < 1 or k > 8 for k in config.grid_attempts) or any(t < 1 for t in config.grid_turns):
        raise UsageError("grid_attempts are from 1 to 8 and grid_turns at least 1")
    folder = folder_for(KIND, config, [base, *noisy.values()])
    return Prepared(config, folder, base, noisy, refine)


def projection(plan: Prepared) -> tuple[int, str]:
    """The most attempts of a run, and the line that says so; what is recorded already is not attempted again."""
    config, arms = plan.config, plan.arms
    tasks, each = len(plan.base.splits.dev), sum(arm.attempts for arm in arms.all)
    primary = each * tasks * config.repeats
    cells = sum(2 * place.attempts for place in plan.places) * len(plan.surface_tasks)
    said = (
        f"at most {primary + cells:,} attempts: {primary:,} in {len(arms.all)} arms on {tasks} dev tasks under "
        f"{config.repeats} seeds, {cells:,} in {len(plan.places)} cells of the surface; fewer where tasks are solved "
        "early or recorded already"
    )
    said += calls_said(plan.base, primary + cells)
    if config.lm is not None:
        said += f"; up to {2 * tasks * config.repeats * config.attempts:,} calls of {config.lm}"
    return primary + cells, said


async def run_gate_a(plan: Prepared, *, quiet: bool = False) -> Outcome:
    """The whole gate in its run folder. Killed and started again, it ends the same. Raises TillerError."""
    config, console, lines = plan.config, console_of(quiet=quiet), list[str]()
    _say(console, f"Gate A on {plan.base.benchmark.id}, {plan.who}: {projection(plan)[1]}")
    begin(plan.folder, config)
    with (
        mirrored(plan.folder, lines, tracking=config.tracking) as listen,
        EventLog(plan.folder, listen=listen) as log,
    ):
        found = await _measured(plan, console)
        report = steering.report_of(plan, found)
        if report.figures:
            draw_surface(plan.folder / FIGURE, found.cells, report.title)
        written = write_report(plan.folder, report)
        tell(log, plan.folder, report)
    paths = {"run": str(plan.folder), "report": str(written.json), "page": str(written.markdown)}
    if report.figures:
        paths["figure"] = str(plan.folder / FIGURE)
    for line in (*steering.table_lines(report), report.sentence, *lines, *(f"{k}: {v}" for k, v in paths.items())):
        _say(console, line)
    return Outcome(report, paths)


async def _measured(plan: Prepared, console: Console) -> steering.Found:
    config, arms = plan.config, plan.arms
    require_equal_grants({arm.name: steering.grant_of(arm).amounts for arm in arms.matched})
    with opened(plan.base, plan.folder / "world") as parts:
        await probe(parts)
        with progress_bar(console, f"{len(arms.all)} arms", len(arms.all) * config.repeats) as step:
            measured = {}
            for arm in arms.all:
                measured[arm.name] = await measure(
                    parts, arm, plan.base.splits.dev, seeds=plan.seeds, namespace=ARMS, step=step
                )
        contrasts = contrasts_of(measured, steering.planned(arms), plan.terms)
        within = await _within(plan, parts, measured, console)
        cells = await _cells(plan, parts, [p for p in plan.places if p.noise is None], console)
    for noise, world in plan.noisy.items():
        with opened(world, plan.folder / f"world-{noise:g}") as parts:
            cells += await _cells(plan, parts, [p for p in plan.places if p.noise == noise], console)
    families = plan.base.benchmark.families("dev")
    three = tuple(measured[name] for name in (arms.refine.name, arms.placebo.name, arms.blind.name))
    cells += difficulty_cells((three[0], three[1], three[2]), families, plan.terms)
    return steering.Found(measured, contrasts, tuple(within), tuple(cells))


async def _within(plan: Prepared, parts: Wired, measured: Mapping[str, Measured], console: Console) -> list[Within]:
    """Inside the arms of the primary contrast and random@k."""
    names = [arm.name for arm in plan.arms.inside]
    with VerdictLedger(plan.folder / CEILING) as ledger, progress_bar(console, "inside", len(names)) as step:
        return [
            await look_within(parts, measured[name], plan.base.splits.dev, ledger, retest=plan.config.retest, step=step)
            for name in names
        ]


async def _cells(plan: Prepared, parts: Wired, places: Sequence[Place], console: Console) -> list[Cell]:
    """refine and placebo at each place, on the tasks of the surface under the first seed."""
    if not places:
        return []
    tasks, seeds, cells = plan.surface_tasks, plan.seeds[:1], []
    terms = Terms(plan.terms.objectives, plan.config.alpha, clusters=clusters_of(_families(plan), tasks))
    with progress_bar(console, f"{len(places)} cells of the surface", 2 * len(places)) as step:
        for place in places:
            arms = steering.arms_at(place.attempts, place.turns, plan.refine)
            refine, placebo = [
                await measure(parts, arm, tasks, seeds=seeds, namespace=ARMS, step=step)
                for arm in (arms.refine, arms.placebo)
            ]
            cells.append(cell_of(place, refine.values(terms.primary), placebo.values(terms.primary), terms))
    return cells


def _families(plan: Prepared) -> Mapping[str, Sequence[str]]:
    return plan.base.benchmark.families("dev")


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False)
