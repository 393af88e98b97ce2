"""Certified retrieval, naive priming and cold, at equal compute on the same dev tasks and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from controllers.baselines import Arm, seed_candidate
from controllers.budget import add_amounts
from experiments.gate.arms.contrasts import Measured, Terms, Versus, clusters_of, contrasts_of, measure
from experiments.gate.arms.workbench import begin, folder_for, opened, probe, ready_for
from experiments.gate.report import Contrast, GateReport, interval_text, level, publish, table
from experiments.gate.workers import said_of
from experiments.search.job import progress_bar
from experiments.search.search_job import console_of
from experiments.search.stages import Step, evaluator_of
from experiments.store.adding import listed, store_path
from experiments.store.priming import FactsSteer, Past, PrimedWorker
from experiments.wiring import Ready, Wired
from optimizers.evaluator import Request
from optimizers.gate.spend import require_equal_grants
from optimizers.retrieval import Here, Retrieved, Shelf
from optimizers.setup import Grant
from signatures.digest import seed_of
from signatures.errors import UsageError
from signatures.records import Amounts, Candidate, Task

if TYPE_CHECKING:
    from experiments.store_run import CompareConfig

KIND: Final = "store"
CERTIFIED: Final = "certified"
PRIMED: Final = "primed"
COLD: Final = "cold"
PLANNED: Final = (
    Versus(CERTIFIED, COLD, "the past, used"),
    Versus(CERTIFIED, PRIMED, "the past, used"),
    Versus(PRIMED, COLD, "the past, used"),
)


@dataclass(frozen=True)
class Comparison:
    """A config that can run, and what the store gives each task."""

    config: CompareConfig
    folder: Path
    world: Ready
    shelf: Shelf
    given: Mapping[str, Retrieved]
    "task digest -> what is retrieved for it"

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The dev tasks."""
        return self.world.splits.dev

    @property
    def grant(self) -> Grant:
        """What an episode of every arm may spend."""
        return Grant(self.config.attempts, self.config.turns, self.world.actions)

    @property
    def seeds(self) -> tuple[int, ...]:
        """One per repeat, the same for every arm."""
        return tuple(seed_of(KIND, self.config.seed, repeat) for repeat in range(self.config.repeats))

    @property
    def terms(self) -> Terms:
        """One objective decides: the primary one."""
        clusters = clusters_of(self.world.benchmark.families("dev"), self.tasks)
        objectives = (self.world.benchmark.objectives[0].name,)
        return Terms(objectives, self.config.alpha, self.config.min_effect or None, clusters=clusters)

    def arm(self, name: str, candidate: Candidate) -> Arm:
        """An arm of that controller at the grant of all arms."""
        grant = self.grant
        return Arm(
            name=name,
            candidate=candidate,
            steer_legal=grant.steer_legal,
            attempts=grant.attempts,
            turns_per_attempt=grant.turns_per_attempt,
        )

    def played(self) -> dict[str, tuple[Candidate, list[Task]]]:
        """Candidate digest -> the candidate and the tasks it plays in the certified arm; the seed where none is."""
        found: dict[str, tuple[Candidate, list[Task]]] = {}
        for task in self.tasks:
            stored = self.given[task.digest].stored
            candidate = seed_candidate() if stored is None else stored.candidate
            found.setdefault(candidate.digest, (candidate, []))[1].append(task)
        return found


class Outcome(NamedTuple):
    """A comparison that ended."""

    report: GateReport
    paths: Mapping[str, str]


def prepare(config: CompareConfig) -> Comparison:
    """Look at everything and write nothing. Raises UsageError, where nothing may be executed here too; StoreError."""
    world = ready_for(config)
    path = store_path(config.root, config.store)
    grant = Grant(config.attempts, config.turns, world.actions)
    strategies = [one for one in listed(path) if not config.only or one.id in config.only]
    shelf = Shelf(strategies, Here(world.worker.fingerprint, grant), threshold=config.threshold)
    if not shelf.strategies:
        raise UsageError(
            f"{path}: none of {len(strategies)} strategies was certified with worker {world.worker.fingerprint.name} "
            f"and {config.attempts} attempts of {config.turns} turns; a certificate says nothing of others"
        )
    if config.past > len(world.benchmark.tasks("search")):
        raise UsageError(f"past={config.past}: the search split has {len(world.benchmark.tasks('search'))} tasks")
    given = {task.digest: shelf.retrieve(task) for task in world.splits.dev}
    # Named by what may be retrieved: with another store it is another comparison.
    named = config.model_copy(update={"only": tuple(sorted(one.id for one in shelf.strategies)), "store": None})
    return Comparison(config, folder_for(KIND, named, [world]), world, shelf, given)


def projection(plan: Comparison) -> tuple[int, str]:
    """The most attempts of a run, and the line that says so; what is recorded already is not attempted again."""
    config, tasks = plan.config, len(plan.tasks)
    arms, past = 3 * tasks * config.repeats * config.attempts, config.past * config.attempts
    found = sum(one.stored is not None for one in plan.given.values())
    return arms + past, (
        f"at most {arms + past:,} attempts: {arms:,} in 3 arms on {tasks} dev tasks under {config.repeats} seeds, "
        f"{past:,} on {config.past} search tasks whose facts are quoted; {len(plan.shelf.strategies)} strategies may "
        f"be executed here, and {found} of {tasks} tasks are given one"
    )


async def run_comparison(plan: Comparison, *, quiet: bool = False) -> Outcome:
    """The whole comparison in its run folder. Killed and started again, it ends the same. Raises TillerError."""
    console = console_of(quiet=quiet)
    console.print(f"Certified store on {plan.world.benchmark.id}: {projection(plan)[1]}", highlight=False)
    begin(plan.folder, plan.config)
    require_equal_grants(dict.fromkeys((CERTIFIED, PRIMED, COLD), plan.grant.amounts))
    with opened(plan.world, plan.folder / "world") as parts:
        await probe(parts)
        with progress_bar(console, "past episodes and 3 arms", 3 * plan.config.repeats) as step:
            past, spent = await past_episodes(parts, plan)
            primed = replace(parts, setup=replace(parts.setup, worker=_primed(parts, past)))
            cold = await _measured(parts, plan, COLD, step)
            told = await _measured(primed, plan, PRIMED, step)
            executed = await measured_by_task(parts, plan, step)
    report = report_of(plan, {CERTIFIED: executed, PRIMED: told, COLD: cold}, spent)
    written, tracked = publish(plan.folder, report, tracking=plan.config.tracking)
    paths = {"run": str(plan.folder), "report": str(written.json), "page": str(written.markdown)}
    lines = [*table_lines(report), report.sentence, *([tracked] if tracked else [])]
    for line in (*lines, *(f"{name}: {path}" for name, path in paths.items())):
        console.print(line, highlight=False)
    return Outcome(report, paths)


async def past_episodes(parts: Wired, plan: Comparison) -> tuple[tuple[Past, ...], Amounts]:
    """Episodes of the seed controller on search tasks, as they were seen, and what they spent.

    The search evaluator asks the judge of them as of all others; what it said is not part of what was seen.
    """
    tasks = plan.world.benchmark.tasks("search")[: plan.config.past]
    if not tasks:
        return (), Amounts()
    evaluator = evaluator_of(parts, split="search", namespace="past")
    request = Request(
        seed_candidate(), tasks, seed=plan.seeds[0], condition="past", grant=plan.grant, keep_rollouts=True
    )
    scored = await evaluator.evaluate(request)
    past = [
        Past(task.prompt, tuple(one.rollout.history))
        for task, one in zip(tasks, scored, strict=True)
        if one.rollout is not None and one.rollout.history
    ]
    spent = Amounts()
    for one in scored:
        spent = add_amounts(spent, one.score.used)
    return tuple(past), spent


def _primed(parts: Wired, past: Sequence[Past]) -> PrimedWorker:
    return PrimedWorker(parts.setup.worker, FactsSteer(past))


async def measured_by_task(parts: Wired, plan: Comparison, step: Step) -> Measured:
    """The certified arm: each task played by the strategy that is retrieved for it, by the seed where none is."""
    groups = [
        await measure(parts, plan.arm(CERTIFIED, candidate), tasks, seeds=plan.seeds, namespace=KIND, step=_nothing)
        for candidate, tasks in plan.played().values()
    ]
    merged = []
    for number in range(len(plan.seeds)):
        found = {score.task_digest: score for group in groups for score in group.scores[number]}
        merged.append(tuple(found[task.digest] for task in plan.tasks))
        step()
    most = max(groups, key=lambda group: len(group.scores[0]))
    certified = [group for group in groups if group.arm.candidate.digest != seed_candidate().digest]
    return Measured((certified or [most])[0].arm, tuple(merged))


async def _measured(parts: Wired, plan: Comparison, name: str, step: Step) -> Measured:
    """The seed controller on every task."""
    arm = plan.arm(name, seed_candidate())
    return await measure(parts, arm, plan.tasks, seeds=plan.seeds, namespace=KIND, step=step)


def _nothing() -> None:
    """A group of tasks is no step of the bar."""


def report_of(plan: Comparison, arms: Mapping[str, Measured], spent: Amounts) -> GateReport:
    """The report: three paired differences on the primary objective."""
    contrasts = contrasts_of(arms, PLANNED, plan.terms)
    found = [one for one in plan.given.values() if one.stored is not None]
    relevances = [one.relevance for one in plan.given.values()]
    numbers = {
        "strategies that may be executed here": float(len(plan.shelf.strategies)),
        "share of tasks given one": len(found) / len(plan.given),
        "mean relevance": sum(relevances) / len(relevances),
        "attempts whose facts are quoted": float(spent.attempts or 0),
    }
    return GateReport(
        kind=KIND,
        title=f"The certified store on {plan.world.benchmark.id}",
        benchmark=plan.world.benchmark.id,
        worker=plan.world.worker.fingerprint.name,
        who=said_of(plan.world.worker.fingerprint, plan.world.benchmark.id),
        seed=plan.config.seed,
        split="dev",
        config=plan.config.model_dump(mode="json"),
        sentence=_sentence(plan, contrasts),
        contrasts=contrasts,
        spend=tuple(one.spend for one in arms.values()),
        excluded=tuple(one.excluded for one in arms.values()),
        numbers=numbers,
        notes=(
            "the three arms have one grant; what came before is in none of them: the search and the gate of each "
            "strategy, and the past episodes that are quoted",
            f"a task whose best strategy is below relevance {plan.config.threshold:g} is played by the seed controller",
            "quoted are calls, failures and checker results; no verdict is at hand where the facts are written",
        ),
    )


def _sentence(plan: Comparison, contrasts: Sequence[Contrast]) -> str:
    said = ", ".join(f"{one.name} = {interval_text(one.evidence)} (n = {one.evidence.n})" for one in contrasts)
    where = f"{plan.world.benchmark.id} with worker {plan.world.worker.fingerprint.name}"
    return f"On {where}, in points of {plan.terms.primary} at equal compute: {said}."


def table_lines(report: GateReport) -> list[str]:
    """The differences and the spend of each arm, as tables."""
    shown = [
        [one.name, str(one.evidence.n), interval_text(one.evidence), level(one.evidence.p), level(one.evidence.q)]
        for one in report.contrasts
    ]
    spend = [
        [one.arm, str(one.episodes), *map(_amount, (one.attempts, one.turns, one.tokens, one.usd))]
        for one in report.spend
    ]
    return [
        *table(("difference", "n", "points [interval]", "p", "q"), shown).splitlines(),
        "",
        *table(("arm", "episodes", "attempts", "turns", "tokens", "usd"), spend).splitlines(),
        "",
    ]


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"
