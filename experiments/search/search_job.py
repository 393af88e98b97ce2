"""One search run from its config to its table: probes, recording, control arms, searches, the dev re-estimate."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console

from controllers.baselines import recorded_arms
from experiments.events import ArtifactWritten, Event, EventLog, SearchFinished
from experiments.mirror import Mirror
from experiments.search.confirmed import Confirmed
from experiments.search.confirming import confirm, confirmer, finalists
from experiments.search.ending import Account, Outcome, Scores, report, tell_baseline, tell_members
from experiments.search.exploring import promising
from experiments.search.finalists import traced
from experiments.search.findings import FOUND, found_in, keep, recurrent_before
from experiments.search.job import Job, progress_bar
from experiments.search.learned import LEARNED
from experiments.search.learning import Taught, learn
from experiments.search.projecting import cost_of, ends, projection
from experiments.search.replayed import LIVE_NEXT, aside_evaluator, said, score_arm_recorded
from experiments.search.searching import RANDOM, Searched, search_main, search_rival
from experiments.search.stages import (
    arms_of,
    evaluator_of,
    score_arm,
    score_candidates,
    space_from,
)
from experiments.search.started import started_event
from experiments.search.trees import Recording, record_trees
from experiments.search_config import SearchConfig
from experiments.wiring import Ready, Wired, definition_of_done, wired
from judges.manifest import require_unchanged
from judges.probes import run_probes
from judges.stability import rejudge
from optimizers.replaying import Replaying
from signatures.digest import digest_of, seed_of
from signatures.records import Candidate

if TYPE_CHECKING:
    from optimizers.replay.asking import Asking


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
        said = [task.prompt for task in given.splits.train[config.train :]]  # the manifest has their digests alone
        parts.journal.require_same(
            digest_of(_identity(config), parts.manifest, given.worker.fingerprint, *([said] if said else []))
        )
        taught = await learn(config, folder, parts)
        status = "FAILED"
        try:
            log.emit(started_event(config, folder, parts, taught.note))
            if taught.note is not None:
                log.emit(ArtifactWritten.of(folder, LEARNED))
            result = await _stages(config, folder, parts, taught, log=log, console=console)
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
def _mirrored(config: SearchConfig, folder: Path, console: Console) -> Iterator[Callable[[Event], None] | None]:
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
    config: SearchConfig, folder: Path, parts: Wired, taught: Taught, *, log: EventLog, console: Console
) -> dict[str, object]:
    console.print(_first_line(config, parts), highlight=False)
    console.print(_projected(config, parts), highlight=False)
    if taught.note is not None:
        console.print(taught.note.said(), highlight=False)
    await run_probes(parts.setup.judge, parts.benchmark.probes())
    with _asking(folder, parts) as asking:
        job, recording = await _recorded(config, folder, parts, log=log, console=console, asking=asking)
        job = taught_job(job, taught)
        on_dev = await _arms(job)
        main = await search_main(job)
        rival = await search_rival(job, main)
        found = await _decided(job, main, rival)
        # On a recording the re-estimate is a replay, and may ask the model again.
        evaluator = aside_evaluator(job) if parts.recorded else evaluator_of(parts, split="dev", namespace="dev")
        seed = seed_of("dev", config.seed)
        with progress_bar(console, "re-estimate on dev", len(found.members) + len(found.rivals)) as step:
            members = await score_candidates(evaluator, found.members, parts.splits.dev, seed=seed, step=step)
            others = await score_candidates(evaluator, found.rivals, parts.splits.dev, seed=seed, step=step)
    require_unchanged(folder / "manifest.json", definition_of_done(parts.benchmark, parts.splits))
    await run_probes(parts.setup.judge, parts.benchmark.probes())
    outcome = Outcome(
        arms=on_dev,
        members=members,
        rivals=others,
        controllers={**found.rivals, **found.members},
        volumes={one.title: one.volumes for one in (main, rival) if one is not None},
        account=Account(main.spend.attempts, found.attempts, main.tally.attempts, recording),
        confirmed=found.confirmed,
        spends={one.title: one.spend for one in (main, rival) if one is not None},
    )
    tell_members(job, outcome)
    for event in [] if parts.recorded else await traced(evaluator, found.members, parts.splits.dev, seed=seed):
        log.emit(event)
    kept = keep(folder, parts.benchmark.id, job.findings)
    log.emit(ArtifactWritten.of(folder, FOUND))
    result = report(job, outcome)
    for line in (*kept.lines, *([LIVE_NEXT] if parts.recorded else [])):
        job.say(line)
    return {**result, "findings": {"found": kept.found, "recurrent": [one.evidence for one in kept.recurrent]}}


@contextmanager
def _asking(folder: Path, parts: Wired) -> Iterator[Asking | None]:
    """What replay asks the run's model, kept in the run folder; None where there are rules alone."""
    if parts.lm is None:
        yield None
        return
    from optimizers.replay.asking import Asking

    with Asking(folder / "asked.jsonl", retry=parts.setup.retry, breaker=parts.setup.breaker) as asking:
        yield asking


async def _recorded(
    config: SearchConfig, folder: Path, parts: Wired, *, log: EventLog, console: Console, asking: Asking | None
) -> tuple[Job, Recording]:
    """The job with its recorded trees and the space that they span."""
    trees = len(parts.splits.train) + config.val_trees + (len(parts.splits.dev) if parts.recorded else 0)
    with progress_bar(console, f"record {trees} trees", trees) as step:
        replay, outputs, recording = await record_trees(config, parts, step)
    stable = await rejudge(parts.setup.judge, outputs, 2)
    space = space_from(replay, parts.splits.train, parts.actions, config.attempts)
    replaying = Replaying(replay, asking, walks=config.walks, answers=not config.live)
    found, recurrent = found_in(config, parts, replay), recurrent_before(config, folder, parts.benchmark.id)
    job = Job(config, folder, parts, log, console, replaying, space, findings=found, recurrent=recurrent)
    job.say(f"trees: {recording.new} attempts recorded, {recording.recalled} recalled")
    job.say(f"judge {stable.judge}: agreement {stable.agreement} on {stable.n} outputs judged twice")
    return job, recording


def taught_job(job: Job, taught: Taught) -> Job:
    """The job with what was learned elsewhere: in the space of edits, and for the engine's proposer."""
    if taught.note is None:
        return job
    train, actions = job.wired.splits.train, job.wired.actions
    space = space_from(job.replay.trees, train, actions, job.config.attempts, learned=taught.moves)
    return replace(job, space=space, learned=taught.moves)


class Decided(NamedTuple):
    """What the searches are left with."""

    members: Mapping[str, Candidate]
    "the final front of the run's engine"
    rivals: Mapping[str, Candidate]
    "the rival's best, where there is a rival"
    confirmed: tuple[Confirmed, ...] = ()
    attempts: int = 0
    "live attempts that confirming the engine's candidates took"


async def _decided(job: Job, main: Searched, rival: Searched | None) -> Decided:
    """The final front: on values that were attempted live, unless the run is live and they all were, or none can be."""
    if job.config.live or job.wired.recorded:
        best = {} if rival is None else {RANDOM: rival.front[0].candidate}
        return Decided({one.name: one.candidate for one in main.front}, best)
    evaluator = confirmer(job)
    most = job.config.confirm
    chosen = finalists(main, await promising(job, main.aside), most=most)
    front = await confirm(job, evaluator, main.title, chosen)
    attempts = sum(one.attempts for one in front.confirmed)
    if rival is None:
        return Decided(front.members, {}, front.confirmed, attempts)
    # As many of the rival's, so that neither search chooses its best from more live looks than the other.
    other = await confirm(job, evaluator, RANDOM, finalists(rival, (), most=most)[: len(chosen)])
    best = {RANDOM: next(iter(other.members.values()))}
    return Decided(front.members, best, (*front.confirmed, *other.confirmed), attempts)


async def _arms(job: Job) -> Mapping[str, Scores]:
    """Every control arm on val and dev; one baseline event each."""
    parts, config = job.wired, job.config
    on_dev: dict[str, Scores] = {}
    search = evaluator_of(parts, split="search", namespace="arms")
    dev = evaluator_of(parts, split="dev", namespace="arms")
    if parts.recorded:
        arms = recorded_arms(config.attempts, config.turns, parts.actions[1:])
    else:
        arms = arms_of(config, parts.actions)
    with progress_bar(job.console, f"{len(arms)} control arms", len(arms)) as step:
        for arm in arms:
            if parts.recorded:
                scores = await score_arm_recorded(job, arm)
            else:
                val = await score_arm(search, arm, parts.splits.val, seed=seed_of("search", config.seed, 2))
                on = await score_arm(dev, arm, parts.splits.dev, seed=seed_of("dev", config.seed))
                scores = {"search": val, "dev": on}
            on_dev[arm.name] = scores["dev"]
            tell_baseline(job, arm.name, arm.candidate, scores)
            step()
    return on_dev


def _projected(config: SearchConfig, parts: Wired) -> str:
    """The line on what the run may take at most."""
    if parts.recorded:
        return f"{said(config, parts.setup.worker.fingerprint.model)}; {ends(config)}"
    arms = len(arms_of(config, parts.actions))
    return projection(cost_of(config, parts.actions, arms, harvested=len(parts.splits.train) - config.train), config)


def _first_line(config: SearchConfig, parts: Wired) -> str:
    who = f"{config.benchmark}, worker {parts.setup.worker.fingerprint.name}, seed {config.seed}"
    if config.engine != "gepa_search":
        who += f", engine {config.engine_name}"
    if parts.lm is None:
        mined = config.engine in ("gepa_search", "pareto_search")
        how = "rule policies and the mined proposer, no language model" if mined else "no language model"
        return f"{who}: {how} (use one with --lm MODEL)"
    return f"{who}: policies and reflection by {parts.lm.model}"


def _identity(config: SearchConfig) -> dict[str, object]:
    """What makes two searches the same: not where they run, how many episodes at once, or who watches."""
    return config.told(without=frozenset({"root", "concurrency", "tracking", "corpus"}))
