"""One search run from its config to its table: probes, recording, control arms, searches, the dev re-estimate."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from controllers.program import controller_of
from experiments.config import dump
from experiments.events import ArtifactWritten, CandidateScored, CandidateUpdated, EventLog, SearchFinished
from experiments.figure import draw_search
from experiments.gepa_config import GepaConfig
from experiments.mirror import Mirror
from experiments.narrator import Narrator, component_params, score_metrics
from experiments.preflight import preflight
from experiments.report import Row, as_json, compare, row_of, sentence, table_of
from experiments.stages import (
    Cost,
    arms_of,
    cost_of,
    evaluator_of,
    proposer_of,
    record_trees,
    score_arm,
    score_candidates,
    space_from,
    start_of,
)
from experiments.started import started_event
from experiments.wiring import Wired, definition_of_done, split_tasks, wired
from judges.manifest import require_unchanged
from judges.probes import run_probes
from optimizers.records import TaskScore
from optimizers.replay.tree import TreeReplay
from optimizers.search import SearchPlan
from optimizers.search.gepa_search import GepaSearch
from optimizers.search.random_search import RandomSearch
from optimizers.space import Space
from signatures.digest import digest_of, seed_of
from signatures.errors import TillerError, UsageError
from signatures.records import Amounts, Candidate

Scores = tuple[TaskScore, ...]


@dataclass
class Job:
    """One run under way: its parts, its log and whoever watches."""

    config: GepaConfig
    folder: Path
    wired: Wired
    log: EventLog
    console: Console
    replay: TreeReplay
    space: Space

    @property
    def primary(self) -> str:
        """The objective that the run's sentence is about."""
        return self.wired.benchmark.objectives[0].name


def project(config: GepaConfig) -> Cost:
    """Print what a run would cost at most, and do nothing. Raises UsageError for a config that cannot run."""
    from experiments.catalogue import load_benchmark

    benchmark = load_benchmark(config.benchmark, config.options)
    split_tasks(benchmark, config)
    actions = ("none", *(directive.action for directive in benchmark.directives))
    cost = cost_of(config, actions, arms=5)
    require_search_budget(config)
    print(_projection(cost, config))
    return cost


def require_search_budget(config: GepaConfig) -> None:
    """Raises UsageError where the search could not evaluate its first candidate and one proposal."""
    need = (config.val + 2 * config.minibatch) * config.attempts
    if config.max_attempts < need:
        raise UsageError(
            f"max_attempts={config.max_attempts} is too small: one evaluation and one proposal may take {need}"
        )


async def run_search(config: GepaConfig, folder: Path, *, quiet: bool = False) -> dict[str, Any]:
    """The whole run. Killed and started again on the same folder it ends the same. Raises TillerError."""
    preflight()
    require_search_budget(config)
    console = Console(stderr=quiet, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
    with wired(config, folder) as parts:
        (folder / "config.toml").write_text(dump(config), encoding="utf-8")
        parts.journal.require_same(digest_of(_identity(config), parts.manifest))
        mirror = Mirror(folder) if config.tracking else None
        status = "FAILED"
        with EventLog(folder, listen=mirror.send if mirror else None) as log:
            try:
                log.emit(started_event(config, folder, parts))
                result = await _stages(config, folder, parts, log=log, console=console)
                status = "FINISHED"
            except BaseException as error:
                status = "FAILED" if isinstance(error, TillerError) else "KILLED"
                raise
            finally:
                log.emit(SearchFinished.model_validate({"status": status}))
                if mirror is not None:
                    console.print(mirror.close(30.0), highlight=False)
    console.print(f"dashboard: python -m experiments.dashboard_run --root {config.root}", highlight=False)
    return result


async def _stages(config: GepaConfig, folder: Path, parts: Wired, *, log: EventLog, console: Console) -> dict[str, Any]:
    console.print(_first_line(config, parts), highlight=False)
    arms = arms_of(config, parts)
    console.print(_projection(cost_of(config, parts.actions, len(arms)), config), highlight=False)
    await run_probes(parts.setup.judge, parts.benchmark.probes())
    trees = config.train + min(config.recorded_val, config.val)
    with _bar(console, f"record {trees} trees", trees) as step:
        replay = await record_trees(config, parts, step)
    space = space_from(replay, parts.splits.train, parts.actions, config.attempts)
    job = Job(config, folder, parts, log, console, replay, space)
    on_dev = await _arms(job)
    front, found, volumes = await _gepa(job)
    rivals, rival_volumes = await _random(job)
    evaluator = evaluator_of(parts, split="dev", namespace="dev")
    seed = seed_of("dev", config.seed)
    with _bar(console, "re-estimate on dev", len(front) + len(rivals)) as step:
        members = await score_candidates(evaluator, front, parts.splits.dev, seed=seed, step=step)
        others = await score_candidates(evaluator, rivals, parts.splits.dev, seed=seed, step=step)
    require_unchanged(folder / "manifest.json", definition_of_done(parts.benchmark, parts.splits))
    await run_probes(parts.setup.judge, parts.benchmark.probes())
    _tell_front(job, members, found)
    return _report(job, on_dev, members, others, {"gepa": volumes, "random search": rival_volumes})


async def _arms(job: Job) -> Mapping[str, Scores]:
    """Every control arm on val and dev; one baseline event each."""
    parts, config = job.wired, job.config
    on_dev: dict[str, Scores] = {}
    search = evaluator_of(parts, split="search", namespace="arms")
    dev = evaluator_of(parts, split="dev", namespace="arms")
    arms = arms_of(config, parts)
    with _bar(job.console, "control arms", len(arms)) as step:
        for arm in arms:
            val = await score_arm(search, arm, parts.splits.val, seed=seed_of("search", config.seed, 2))
            on_dev[arm.name] = await score_arm(dev, arm, parts.splits.dev, seed=seed_of("dev", config.seed))
            metrics = score_metrics("search", val, parts.benchmark.objectives)
            metrics |= score_metrics("dev", on_dev[arm.name], parts.benchmark.objectives)
            job.log.emit(
                CandidateScored(
                    name=arm.name,
                    role="baseline",
                    digest=arm.candidate.digest,
                    tags={"tiller.candidate": arm.candidate.digest, "tiller.decision": "baseline"},
                    params=component_params(arm.candidate),
                    metrics=metrics,
                )
            )
            step()
    return on_dev


def _plan(job: Job, start: Candidate) -> SearchPlan:
    config, splits = job.config, job.wired.splits
    return SearchPlan(
        start=start,
        train=splits.train,
        val=splits.val,
        seed=config.seed,
        generations=config.generations,
        iterations=config.iterations,
        minibatch=config.minibatch,
    )


async def _gepa(job: Job) -> tuple[dict[str, Candidate], Narrator, list[float]]:
    budget = Amounts(attempts=job.config.max_attempts, usd=job.config.max_usd)
    evaluator = evaluator_of(job.wired, split="search", namespace="gepa", replay=job.replay, budget=budget)
    narrator = Narrator(job.log.emit, job.console, evaluator, title="gepa")
    proposer = proposer_of(job.wired, job.space)
    archive = await GepaSearch().search(_plan(job, start_of(job.wired)), evaluator, proposer, narrator)
    front = {narrator.found_by_digest[e.candidate].name: e.candidate for e in archive.front()}
    job.console.print(
        f"gepa: {narrator.scored} evaluations, {narrator.replayed} of them replayed from the corpus", highlight=False
    )
    texts = {name: narrator.found_by_digest[digest].candidate for name, digest in front.items()}
    return texts, narrator, narrator.volumes


async def _random(job: Job) -> tuple[dict[str, Candidate], list[float]]:
    """Random search on the same budget; its best on the primary objective goes to dev."""
    from controllers.baselines import seed_candidate

    budget = Amounts(attempts=job.config.max_attempts, usd=job.config.max_usd)
    evaluator = evaluator_of(job.wired, split="search", namespace="random", replay=job.replay, budget=budget)
    narrator = Narrator(job.log.emit, job.console, evaluator, title="random search", children=False)
    plan = _plan(job, seed_candidate())
    archive = await RandomSearch(job.space).search(plan, evaluator, proposer_of(job.wired, job.space), narrator)
    best = narrator.found_by_digest[archive.front()[0].candidate]
    return {"random search": best.candidate}, narrator.volumes


def _tell_front(job: Job, members: Mapping[str, Scores], found: Narrator) -> None:
    """Dev values and front membership into the log; each member's controller into the run folder."""
    (job.folder / "candidates").mkdir(exist_ok=True)
    by_name = {one.name: one.candidate for one in found.found_by_digest.values()}
    for name, scores in members.items():
        metrics = score_metrics("dev", scores, job.wired.benchmark.objectives)
        job.log.emit(CandidateUpdated(name=name, metrics=metrics, tags={"tiller.front": "yes"}))
        text = controller_of(by_name[name], job.wired.lm).dumps()
        (job.folder / "candidates" / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _report(
    job: Job,
    arms: Mapping[str, Scores],
    members: Mapping[str, Scores],
    others: Mapping[str, Scores],
    volumes: Mapping[str, list[float]],
) -> dict[str, Any]:
    objectives, k = job.wired.benchmark.objectives, job.config.attempts
    rows: list[Row] = [row_of(name, "arm", scores, objectives) for name, scores in arms.items()]
    rows += [row_of(name, "random search", scores, objectives) for name, scores in others.items()]
    rows += [row_of(name, "front", scores, objectives) for name, scores in members.items()]
    chosen = next(iter(members))
    controls = [name for name in (f"random@{k}", f"placebo@{k}") if name in arms]
    comparisons = [compare(members[chosen], arms[name], name, job.primary) for name in controls]
    text = sentence(chosen, job.primary, comparisons, n=len(job.wired.splits.dev), front=len(members))
    cost = objectives[-2].name if len(objectives) > 1 else job.primary
    draw_search(job.folder / "front.png", rows, volumes, (cost, job.primary))
    job.log.emit(ArtifactWritten.of(job.folder, "front.png"))
    job.console.print(table_of(rows, objectives))
    job.console.print(text, highlight=False)
    paths = {
        "run": str(job.folder),
        "candidates": str(job.folder / "candidates"),
        "figure": str(job.folder / "front.png"),
    }
    for name, path in paths.items():
        job.console.print(f"{name}: {path}", highlight=False)
    return as_json(rows, comparisons, text, paths)


def _first_line(config: GepaConfig, parts: Wired) -> str:
    who = f"{config.benchmark}, worker {parts.setup.worker.fingerprint.name}, seed {config.seed}"
    if config.lm is None:
        return f"{who}: rule policies and the mined proposer, no language model (use one with --lm MODEL)"
    return f"{who}: policies and reflection by {config.lm}"


def _projection(cost: Cost, config: GepaConfig) -> str:
    money = "" if config.lm is None else f", and model calls up to {config.max_usd or 'no limit of'} usd"
    return (
        f"at most {cost.total} attempts: {cost.record} recorded (reused if there), {cost.arms} in control arms, "
        f"{cost.search} in the search, {cost.random} in random search, {cost.dev} on dev{money}"
    )


def _identity(config: GepaConfig) -> dict[str, Any]:
    """What makes two searches the same: not where they run, how many episodes at once, or who watches."""
    return config.model_dump(mode="json", exclude={"root", "concurrency", "tracking", "corpus"})


@contextmanager
def _bar(console: Console, title: str, total: int) -> Iterator[Any]:
    """A progress bar where somebody watches, else one line when done."""
    started = time.monotonic()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)
    console.print(f"{title}: done in {time.monotonic() - started:.0f} s", highlight=False)
