"""Playing a production run: each episode under the release that is current when it begins, and to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from controllers.champion import ChampionWatch
from controllers.corpus import SqliteCorpus
from controllers.executor import AsyncExecutor
from controllers.fallback import FallbackPolicy
from controllers.loop import run_episode
from controllers.production import PRODUCTION, production_parts, production_spec
from controllers.programs.policy import ProgramPolicy
from controllers.progress import ended_by_infrastructure
from controllers.release import Champion
from controllers.retry import Breaker
from controllers.spec import EpisodeSpec, Parts
from experiments.events import EventLog, SearchFinished
from experiments.gate.report import mirrored
from experiments.production.parts import Prepared, cost_line
from experiments.production.prompts import Prompts
from experiments.production.report import (
    REPORT,
    ProductionReport,
    lines_of,
    metrics_of,
    report_of,
    started_event,
    table_of,
    tell,
)
from experiments.production.run_log import RunLog
from experiments.search.job import progress_bar
from experiments.whole_file import write_whole
from signatures.digest import seed_of
from signatures.records import Task


@dataclass
class Playing:
    """A run under way."""

    given: Prepared
    folder: Path
    watch: ChampionWatch
    corpus: SqliteCorpus
    log: RunLog
    say: Callable[[str], None]
    breaker: Breaker = field(default_factory=Breaker)
    last: str = ""
    "digest of the release that the latest episode began with"
    parts: dict[str, Parts] = field(default_factory=dict)
    "by release"
    resting: set[tuple[str, str]] = field(default_factory=set)
    "(release, policy) whose model is not asked at the moment, as was said"

    @property
    def left(self) -> list[int]:
        """Numbers of the episodes that are not played, those that infrastructure ended among them."""
        standing = self.log.standing
        return [n for n in range(len(self.given.asked.tasks)) if n not in standing or not standing[n].done]

    async def episode(self, number: int) -> None:
        """Play one episode, or the rest of it. Raises TillerError."""
        task = self.given.asked.tasks[number]
        champion = await self._champion(number)
        digest = champion.release.digest
        if digest not in self.parts:
            self.parts[digest] = self._parts(champion)
        parts = self.parts[digest]
        rollout = await run_episode(await self._spec(champion, task, number, parts), parts)
        self.log.ended(number, rollout.episode.id, failed=rollout.episode.failure is not None)
        self._tell_of_models(digest, parts)

    def _tell_of_models(self, digest: str, parts: Parts) -> None:
        """Say, once each way, that a policy's model is down and its fallback decides, or that it is asked again."""
        for name, policy in parts.controller.policies.items():
            if not isinstance(policy, FallbackPolicy) or policy.down == ((digest, name) in self.resting):
                continue
            self.resting ^= {(digest, name)}
            program = isinstance(policy.policy, ProgramPolicy)
            fails, again = ("program fails", "program") if program else ("model does not answer", "model")
            self.say(
                f"{name}: its {fails}; the release's fallback decides meanwhile"
                if policy.down
                else f"{name}: its {again} is asked again"
            )

    async def _champion(self, number: int) -> Champion:
        """The release that the episode began with, before a kill too; else the one that is current now."""
        begun = self.log.standing.get(number)
        if begun is not None and begun.episode is None:
            mine = await asyncio.to_thread(self.watch.by_digest, begun.under)
            if mine is not None:
                return mine
            self.say(f"episode {number}: its release {begun.under} is not to be had; it begins again")
        champion = await asyncio.to_thread(self.watch.current)
        self.given.require_fit(champion)
        digest = champion.release.digest
        if self.last not in ("", digest):
            self.say(f"from episode {number} on release {digest} decides (candidate {champion.release.candidate})")
        self.last = digest
        self.log.began(number, champion.release)
        return champion

    def _parts(self, champion: Champion) -> Parts:
        given = self.given
        parts = production_parts(
            champion,
            worker=given.worker,
            checkers=given.benchmark.checkers(),
            steers=given.steers,
            observer=given.benchmark,
            corpus=self.corpus,
        )
        return replace(parts, breaker=self.breaker)  # one for all: an outage is not of one episode

    async def _spec(self, champion: Champion, task: Task, number: int, parts: Parts) -> EpisodeSpec:
        """The spec, its repeat past all that infrastructure ended. Its seed is this run's and this episode's alone."""
        seed = seed_of(PRODUCTION, self.given.config.seed, self.folder.name, number)
        spec = production_spec(champion, task, seed=seed)
        while await ended_by_infrastructure(spec, parts):
            spec = spec.model_copy(update={"repeat": spec.repeat + 1})
        return spec


async def run_production(
    given: Prepared, folder: Path, console: Console, watch: ChampionWatch | None = None
) -> ProductionReport:
    """The whole run in its folder. Killed and started again on it, it goes on. Raises TillerError.

    `watch`: one that has looked at the release already.
    """
    lines: list[str] = []
    with mirrored(folder, lines, tracking=given.config.tracking) as listen, EventLog(folder, listen=listen) as events:
        status = "FAILED"
        report: ProductionReport | None = None
        try:
            events.emit(started_event(given, folder))
            report = await _played(given, folder, console, watch)
            tell(events, folder, report)
            status = "FINISHED"
        except (KeyboardInterrupt, asyncio.CancelledError):
            status = "KILLED"
            raise
        finally:
            metrics = {} if report is None else metrics_of(report)
            events.emit(SearchFinished.model_validate({"status": status, "metrics": metrics}))
    for line in (*lines_of(report), f"report: {folder / REPORT}", *lines):
        console.print(line, highlight=False)
    return report


async def _played(given: Prepared, folder: Path, console: Console, watch: ChampionWatch | None) -> ProductionReport:
    def say(line: str) -> None:
        console.print(line, highlight=False)

    started = time.monotonic()
    with (
        closing(SqliteCorpus(given.corpus)) as corpus,
        Prompts(given.prompts) as prompts,
        RunLog(folder, given.identity) as log,
    ):
        watch = watch or given.watch(say)
        playing = Playing(given, folder, watch, corpus, log, say)
        left = playing.left
        if left:
            champion = await asyncio.to_thread(watch.current)
            given.require_fit(champion)
            for line in first_lines(given, champion, len(left)):
                say(line)
            await asyncio.to_thread(prompts.remember, *given.asked.tasks)
        with progress_bar(console, f"play {len(left):,} episodes", len(left)) as step:

            async def one(number: int) -> None:
                await playing.episode(number)
                step()

            await AsyncExecutor(given.config.concurrency).map(one, left)
        report = await report_of(given, folder, corpus, log, wall_s=time.monotonic() - started)
    write_whole(folder / REPORT, report.model_dump_json(indent=1) + "\n")
    console.print(table_of(report))
    return report


def first_lines(given: Prepared, champion: Champion, left: int) -> list[str]:
    """Who decides, what is played, and what it may cost."""
    release, every = champion.release, len(given.asked.tasks)
    gate = f"ungated: {release.ungated}" if release.certificate is None else f"gate {release.certificate.gate}"
    worker = given.worker.fingerprint.name
    lines = [
        f"{given.config.benchmark}, worker {worker}: {every:,} tasks of {given.asked.origin}, into {given.corpus}",
        f"release {release.name} {release.digest} decides: candidate {release.candidate}, {gate}, "
        f"exploration {release.exploration:g}",
    ]
    if left < every:
        lines.append(f"{every - left:,} of {every:,} episodes are played already")
    return [*lines, cost_line(given, champion, left)]
