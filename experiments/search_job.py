"""One search run from its config to its table: probes, recording, control arms, searches, the dev re-estimate."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from controllers.baselines import seed_candidate
from experiments.ending import RANDOM, Outcome, Scores, report, tell_baseline, tell_members
from experiments.events import Event, EventLog, SearchFinished
from experiments.finalists import traced
from experiments.gepa_config import GepaConfig
from experiments.job import Job, progress_bar
from experiments.mirror import Mirror
from experiments.narrator import Narrator
from experiments.stages import (
    Cost,
    arms_of,
    cost_of,
    evaluator_of,
    projection,
    proposer_of,
    record_trees,
    score_arm,
    score_candidates,
    space_from,
    start_of,
)
from experiments.started import started_event
from experiments.wiring import Ready, Wired, definition_of_done, ready, wired
from judges.manifest import require_unchanged
from judges.probes import run_probes
from judges.stability import rejudge
from optimizers.search import SearchPlan
from optimizers.search.gepa_search import GepaSearch
from optimizers.search.random_search import RandomSearch
from signatures.digest import digest_of, seed_of
from signatures.records import Amounts, Candidate


def project(config: GepaConfig) -> Cost:
    """What a run of this config would cost at most. Does nothing; raises UsageError for a config that cannot run."""
    actions = ready(config).actions
    return cost_of(config, actions, arms=len(arms_of(config, actions)))


async def run_search(given: Ready, folder: Path, *, quiet: bool = False) -> dict[str, object]:
    """The whole run, in a folder that `claim` made. Killed and started again on it, it ends the same.

    Raises TillerError.
    """
    config, console = given.config, console_of(quiet=quiet)
    with (
        _mirrored(config, folder, console) as listen,
        EventLog(folder, listen=listen) as log,
        wired(given, folder) as parts,
    ):
        parts.journal.require_same(digest_of(_identity(config), parts.manifest, given.worker.fingerprint))
        status = "FAILED"
        try:
            log.emit(started_event(config, folder, parts))
            result = await _stages(config, folder, parts, log=log, console=console)
            status = "FINISHED"
        except (KeyboardInterrupt, asyncio.CancelledError):
            status = "KILLED"
            raise
        finally:
            log.emit(SearchFinished.model_validate({"status": status}))
    console.print(f"dashboard: python -m experiments.dashboard_run --root {folder.parent}", highlight=False)
    return result


def console_of(*, quiet: bool) -> Console:
    """Where a run tells its story: stdout, or stderr where stdout is for JSON. What it prints is not markup."""
    file = sys.stderr if quiet else sys.stdout
    return Console(file=file, markup=False, emoji=False, soft_wrap=True, width=None if file.isatty() else 200)


@contextmanager
def _mirrored(config: GepaConfig, folder: Path, console: Console) -> Iterator[Callable[[Event], None] | None]:
    """What events are sent to while MLflow mirrors them, and one line on how that went. None without tracking."""
    if not config.tracking:
        yield None
        return
    mirror = Mirror(folder)
    try:
        yield mirror.send
    finally:
        console.print(mirror.close(30.0), highlight=False)


async def _stages(
    config: GepaConfig, folder: Path, parts: Wired, *, log: EventLog, console: Console
) -> dict[str, object]:
    console.print(_first_line(config, parts), highlight=False)
    arms = arms_of(config, parts.actions)
    console.print(projection(cost_of(config, parts.actions, len(arms)), config), highlight=False)
    await run_probes(parts.setup.judge, parts.benchmark.probes())
    trees = config.train + min(config.recorded_val, config.val)
    with progress_bar(console, f"record {trees} trees", trees) as step:
        replay, outputs = await record_trees(config, parts, step)
    stable = await rejudge(parts.setup.judge, outputs, 2)
    space = space_from(replay, parts.splits.train, parts.actions, config.attempts)
    job = Job(config, folder, parts, log, console, replay, space)
    job.say(f"judge {stable.judge}: agreement {stable.agreement} on {stable.n} outputs judged twice")
    on_dev = await _arms(job)
    front, volumes, spent = await _gepa(job)
    rivals, rival_volumes = await _random(job, spent)
    evaluator = evaluator_of(parts, split="dev", namespace="dev")
    seed = seed_of("dev", config.seed)
    with progress_bar(console, "re-estimate on dev", len(front) + len(rivals)) as step:
        members = await score_candidates(evaluator, front, parts.splits.dev, seed=seed, step=step)
        others = await score_candidates(evaluator, rivals, parts.splits.dev, seed=seed, step=step)
    require_unchanged(folder / "manifest.json", definition_of_done(parts.benchmark, parts.splits))
    await run_probes(parts.setup.judge, parts.benchmark.probes())
    both = {"gepa": volumes, RANDOM: rival_volumes}
    outcome = Outcome(arms=on_dev, members=members, rivals=others, controllers={**rivals, **front}, volumes=both)
    tell_members(job, outcome)
    for event in await traced(evaluator, front, parts.splits.dev, seed=seed):
        log.emit(event)
    return report(job, outcome)


async def _arms(job: Job) -> Mapping[str, Scores]:
    """Every control arm on val and dev; one baseline event each."""
    parts, config = job.wired, job.config
    on_dev: dict[str, Scores] = {}
    search = evaluator_of(parts, split="search", namespace="arms")
    dev = evaluator_of(parts, split="dev", namespace="arms")
    arms = arms_of(config, parts.actions)
    with progress_bar(job.console, f"{len(arms)} control arms", len(arms)) as step:
        for arm in arms:
            val = await score_arm(search, arm, parts.splits.val, seed=seed_of("search", config.seed, 2))
            on_dev[arm.name] = await score_arm(dev, arm, parts.splits.dev, seed=seed_of("dev", config.seed))
            tell_baseline(job, arm.name, arm.candidate, {"search": val, "dev": on_dev[arm.name]})
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


async def _gepa(job: Job) -> tuple[dict[str, Candidate], list[float], int]:
    """The front by name, best on the primary objective first, the hypervolume by generation, the attempts spent."""
    budget = Amounts(attempts=job.config.max_attempts, usd=job.config.max_usd)
    evaluator = evaluator_of(job.wired, split="search", namespace="gepa", replay=job.replay, budget=budget)
    narrator = Narrator(job.log.emit, job.console, evaluator, title="gepa")
    proposer = proposer_of(job.wired, job.space)
    archive = await GepaSearch().search(_plan(job, start_of(job.config, job.wired)), evaluator, proposer, narrator)
    found = [narrator.found_by_digest[entry.candidate] for entry in archive.front()]
    spent = evaluator.budget.spent
    money = f", {spent.tokens} tokens, {spent.usd} usd" if spent.tokens is not None else ""
    replayed = f"{narrator.scored} evaluations, {narrator.replayed} of them replayed from the corpus"
    job.say(f"gepa: {replayed}; {spent.attempts} attempts{money}")
    return {one.name: one.candidate for one in found}, narrator.volumes, spent.attempts or 0


async def _random(job: Job, spent: int) -> tuple[dict[str, Candidate], list[float]]:
    """Random search on the attempts that gepa spent; its best on the primary objective goes to dev."""
    budget = Amounts(attempts=max(spent, job.config.least_attempts))
    evaluator = evaluator_of(job.wired, split="search", namespace="random", replay=job.replay, budget=budget)
    narrator = Narrator(job.log.emit, job.console, evaluator, title=RANDOM, children=False)
    plan = _plan(job, seed_candidate())
    archive = await RandomSearch(job.space).search(plan, evaluator, proposer_of(job.wired, job.space), narrator)
    return {RANDOM: narrator.found_by_digest[archive.front()[0].candidate].candidate}, narrator.volumes


def _first_line(config: GepaConfig, parts: Wired) -> str:
    who = f"{config.benchmark}, worker {parts.setup.worker.fingerprint.name}, seed {config.seed}"
    if parts.lm is None:
        return f"{who}: rule policies and the mined proposer, no language model (use one with --lm MODEL)"
    return f"{who}: policies and reflection by {parts.lm.model}"


def _identity(config: GepaConfig) -> dict[str, object]:
    """What makes two searches the same: not where they run, how many episodes at once, or who watches."""
    return config.model_dump(mode="json", exclude={"root", "concurrency", "tracking", "corpus"})
