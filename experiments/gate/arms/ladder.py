"""The ladder of f(trace): each rung against random@k at as much compute, and no costlier one before that is beaten."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from rich.console import Console

from controllers.baselines import Arm, control_arms
from experiments.events import EventLog
from experiments.gate.arms.contrasts import Measured, Terms, Versus, clusters_of, contrasts_of, measure
from experiments.gate.arms.driver import AGENT, STEPS, AgentSteer
from experiments.gate.arms.workbench import begin, folder_for, opened, probe, ready_for
from experiments.gate.report import Contrast, GateReport, interval_text, level, mirrored, tell, write_report
from experiments.gate.workers import calls_said, said_of
from experiments.search.job import progress_bar
from experiments.search.search_job import console_of
from experiments.wiring import Ready, Wired
from optimizers.gate.spend import confounded
from signatures.digest import seed_of
from signatures.errors import EvidenceError, UsageError

if TYPE_CHECKING:
    from experiments.rung_run import RungConfig

Rung = Literal["none", "fixed", "report", "text", "agent"]
KIND: Final = "rungs"
RUNGS: Final[tuple[Rung, ...]] = ("none", "fixed", "report", "text", "agent")
"""From the cheapest on: nothing, one directive, a compressed report, a model's text, a model that reads with tools."""
MODEL_CALLS: Final[Mapping[Rung, int]] = {"text": 1, "agent": STEPS + 1}
"""Most model calls for one steer."""
MOST_ATTEMPTS: Final = 8
"""Of random@k, when it is given more until it has spent as much as a rung."""


@dataclass(frozen=True)
class Ladder:
    """A config that can run, and the rungs that it asks for."""

    config: RungConfig
    folder: Path
    world: Ready
    rungs: tuple[Rung, ...]
    fixed: str
    "the directive of `fixed`"

    @property
    def who(self) -> str:
        """Whose work it is, in words."""
        return said_of(self.world.worker.fingerprint, self.world.benchmark.id)

    @property
    def terms(self) -> Terms:
        """One objective decides: the primary one."""
        config, benchmark = self.config, self.world.benchmark
        clusters = clusters_of(benchmark.families("dev"), self.world.splits.dev)
        objectives = (benchmark.objectives[0].name,)
        return Terms(objectives, config.alpha, config.min_effect or None, clusters=clusters)

    @property
    def seeds(self) -> tuple[int, ...]:
        """One per repeat, the same for every rung."""
        return tuple(seed_of(KIND, self.config.seed, repeat) for repeat in range(self.config.repeats))

    def arm(self, rung: Rung) -> Arm:
        """The arm of one rung: carried state, and that steer."""
        k, turns = self.config.attempts, self.config.turns
        if rung == "none":
            return next(arm for arm in control_arms(k, turns, [], placebo=False) if arm.name == f"continue@{k}")
        action = self.fixed if rung == "fixed" else rung
        return next(
            arm for arm in control_arms(k, turns, [action], placebo=False) if arm.name == f"refine@{k}/{action}"
        )

    def random(self, attempts: int) -> Arm:
        """random@k with so many attempts."""
        return control_arms(attempts, self.config.turns, [], placebo=False)[0]


class Climbed(NamedTuple):
    """How far the walk came."""

    arms: Mapping[str, Measured]
    contrasts: Mapping[Rung, Contrast]
    "by rung that was measured: it less random@k at as much compute"

    def beaten(self, rung: Rung) -> bool:
        """Whether a rung was measured and beat random@k."""
        one = self.contrasts.get(rung)
        return one is not None and one.decided is not None and one.decided.decision == "promote"


class Outcome(NamedTuple):
    """A walk that ended."""

    report: GateReport
    paths: Mapping[str, str]
    refused: tuple[Rung, ...]
    why: str

    def require(self, rung: Rung | None) -> None:
        """Raises EvidenceError where that rung was asked for by name and refused."""
        if rung is not None and rung in self.refused:
            raise EvidenceError(f"rung {rung} is refused: {self.why}")


def prepare(config: RungConfig) -> Ladder:
    """Look at everything and write nothing. Raises UsageError, where the named rung needs a model or a table too."""
    world = ready_for(config)
    directives = [action for action in world.actions if action != "none"]
    if config.fixed is not None and config.fixed not in directives:
        raise UsageError(f"fixed={config.fixed}: no directive; there are {', '.join(directives) or 'none'}")
    absent = {"fixed"} if not directives else set[str]()
    absent |= {"text", "agent"} if world.lm is None else set()
    if config.rung in absent:
        raise UsageError(f"rung {config.rung} needs {'a table of actions' if config.rung == 'fixed' else '--lm MODEL'}")
    top = RUNGS.index(config.rung) if config.rung else len(RUNGS) - 1
    rungs = tuple(rung for rung in RUNGS[: top + 1] if rung not in absent)
    fixed = config.fixed or (directives[0] if directives else "")
    return Ladder(config, folder_for(KIND, config, [world]), world, rungs, fixed)


def projection(plan: Ladder) -> tuple[int, str]:
    """The most attempts of a walk, and the line that says so."""
    config, tasks = plan.config, len(plan.world.splits.dev)
    episodes = tasks * config.repeats
    climbing = len(plan.rungs) * config.attempts * episodes
    control = sum(range(config.attempts, MOST_ATTEMPTS + 1)) * episodes
    calls = sum(MODEL_CALLS.get(rung, 0) for rung in plan.rungs) * (config.attempts - 1) * episodes
    said = (
        f"at most {climbing + control:,} attempts on {tasks} dev tasks under {config.repeats} seeds: {climbing:,} on "
        f"the rungs {', '.join(plan.rungs)}, {control:,} in random@k, {config.attempts * episodes:,} of them unless a "
        f"rung spends more than it; up to {calls:,} model calls; a rung that does not beat random@k ends the walk"
    )
    return climbing + control, said + calls_said(plan.world, climbing + control)


async def run_ladder(plan: Ladder, *, quiet: bool = False) -> Outcome:
    """The walk in its run folder. Killed and started again, it ends the same. Raises TillerError."""
    console, lines = console_of(quiet=quiet), list[str]()
    console.print(f"Rungs of f on {plan.world.benchmark.id}, {plan.who}: {projection(plan)[1]}", highlight=False)
    begin(plan.folder, plan.config)
    with (
        mirrored(plan.folder, lines, tracking=plan.config.tracking) as listen,
        EventLog(plan.folder, listen=listen) as log,
        opened(plan.world, plan.folder / "world") as parts,
    ):
        await probe(parts)
        climbed = await _climb(plan, with_driver(parts), console)
        refused, why = verdict(plan, climbed)
        report = report_of(plan, climbed, refused, why)
        written = write_report(plan.folder, report)
        tell(log, plan.folder, report)
    paths = {"run": str(plan.folder), "report": str(written.json), "page": str(written.markdown)}
    for line in (report.sentence, *lines, *(f"{name}: {path}" for name, path in paths.items())):
        console.print(line, highlight=False)
    return Outcome(report, paths, refused, why)


def with_driver(parts: Wired) -> Wired:
    """The same parts, with the driver among the steers where there is a model."""
    if parts.lm is None:
        return parts
    steers = {**parts.setup.steers, AGENT: AgentSteer(parts.lm)}
    return replace(parts, setup=replace(parts.setup, steers=steers))


async def _climb(plan: Ladder, parts: Wired, console: Console) -> Climbed:
    """Rung after rung, until one does not beat random@k."""
    arms: dict[str, Measured] = {}
    contrasts: dict[Rung, Contrast] = {}
    climbed = Climbed(arms, contrasts)
    for rung in plan.rungs:
        arm = plan.arm(rung)
        await _measure(plan, parts, arm, arms, console)
        control = await _as_dear(plan, parts, arms[arm.name], arms, console)
        versus = Versus(arm.name, control.name, f"rung {rung}")
        contrasts[rung] = contrasts_of(arms, [versus], plan.terms)[0]
        console.print(_line(rung, contrasts[rung]), highlight=False)
        if not climbed.beaten(rung):
            break
    return climbed


async def _as_dear(
    plan: Ladder, parts: Wired, treatment: Measured, arms: dict[str, Measured], console: Console
) -> Measured:
    """random@k with the fewest attempts, from k on, that spend as much as the treatment; else what it began with.

    A resource that attempts do not use, such as a model's tokens beside a simulated worker, no number of them makes
    up for: then the comparison stays confounded.
    """
    first: Measured | None = None
    for attempts in range(plan.config.attempts, MOST_ATTEMPTS + 1):
        control = await _measure(plan, parts, plan.random(attempts), arms, console)
        first = first or control
        if not confounded(treatment.spend, control.spend):
            return control
        if not _buyable(treatment, control):
            break
    assert first is not None
    return first


def _buyable(treatment: Measured, control: Measured) -> bool:
    """Whether more attempts would spend more of everything that the treatment spends."""
    ours, theirs = treatment.spend, control.spend
    return all(getattr(theirs, name) for name in ("turns", "tokens", "usd") if getattr(ours, name))


async def _measure(plan: Ladder, parts: Wired, arm: Arm, arms: dict[str, Measured], console: Console) -> Measured:
    if arm.name not in arms:
        with progress_bar(console, arm.name, plan.config.repeats) as step:
            arms[arm.name] = await measure(
                parts, arm, plan.world.splits.dev, seeds=plan.seeds, namespace=KIND, step=step
            )
    return arms[arm.name]


def verdict(plan: Ladder, climbed: Climbed) -> tuple[tuple[Rung, ...], str]:
    """The rungs that are refused, and why; none, and an empty reason, where the walk came to its end."""
    last = list(climbed.contrasts)[-1]
    refused = tuple(rung for rung in plan.rungs if rung not in climbed.contrasts)
    if not refused:
        return (), ""
    one = climbed.contrasts[last]
    assert one.decided is not None
    return refused, f"{last} has not beaten {one.control} here: {one.decided.decision} ({one.decided.reasons[0]})"


def report_of(plan: Ladder, climbed: Climbed, refused: tuple[Rung, ...], why: str) -> GateReport:
    """The report of a walk: each rung against random@k, and against the rung below it."""
    won = [rung for rung in climbed.contrasts if climbed.beaten(rung)]
    where = f"{plan.world.benchmark.id} with {plan.who}"
    said = (
        f"On {where}, the highest rung that beats random@k at as much compute is {won[-1] if won else 'none of them'}"
    )
    said += f"; refused, untried: {', '.join(refused)}, because {why}" if refused else ""
    if plan.world.lm is None and not refused and plan.config.rung is None:
        said += "; text and agent need a model: --lm MODEL"
    measured = list(climbed.contrasts)
    steps = [
        Versus(plan.arm(upper).name, plan.arm(lower).name, "to the rung below")
        for lower, upper in itertools.pairwise(measured)
    ]
    return GateReport(
        kind=KIND,
        title=f"Rungs of f(trace) on {plan.world.benchmark.id}",
        benchmark=plan.world.benchmark.id,
        worker=plan.world.worker.fingerprint.name,
        who=plan.who,
        seed=plan.config.seed,
        split="dev",
        config=plan.config.model_dump(mode="json"),
        sentence=f"{said}.",
        contrasts=(*climbed.contrasts.values(), *contrasts_of(climbed.arms, steps, plan.terms)),
        spend=tuple(one.spend for one in climbed.arms.values()),
        excluded=tuple(one.excluded for one in climbed.arms.values()),
        notes=(
            "rungs are tested in a fixed order, each only after the one below was promoted, so none needs a correction "
            "for the others; the contrasts with the rung below are one family of their own",
            "random@k is given more attempts until it has spent as much as the rung it is compared with",
        ),
    )


def _line(rung: Rung, one: Contrast) -> str:
    assert one.decided is not None
    return (
        f"rung {rung}: {one.name} = {interval_text(one.evidence)} points, n = {one.evidence.n}, "
        f"p = {level(one.evidence.p)}: {one.decided.decision}"
    )
