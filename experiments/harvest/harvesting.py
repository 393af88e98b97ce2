"""The work of a harvest: production's new episodes are read one by one, and what they show is put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from controllers.corpus import SqliteCorpus
from controllers.corpus.schema import TABLES
from controllers.history import Seen
from controllers.production import PRODUCTION
from controllers.redaction import redacted
from experiments import Benchmark
from experiments.catalogue import load_benchmark
from experiments.harvest.config import HarvestConfig
from experiments.harvest.findings import findings_of
from experiments.harvest.harvests import Earlier, Harvest, Unread, alone, earlier_harvests, write_harvest
from experiments.harvest.report import report_of
from experiments.harvest.tasks import SPLITS, Sorted, sort_tasks, tasks_text
from experiments.places import corpus_path
from experiments.production.prompts import Prompts, prompts_path
from optimizers.collect.gathering import seen_of
from optimizers.evidence.signals import Signal, plain, signals_of
from signatures.errors import StoreError, UsageError
from signatures.records import Attempt, Decision, Episode, Task


class Harvested(NamedTuple):
    """What came of it; no folder where there was nothing new."""

    folder: Path | None
    harvest: Harvest


class Analysed(NamedTuple):
    """The episodes of a corpus, read."""

    shown: list[tuple[Episode, list[Signal]]]
    failures: list[Unread]
    until: int


async def harvest(config: HarvestConfig) -> Harvested:
    """Analyse the production episodes that no earlier harvest has, and write a folder for them.

    An episode that is damaged is listed and left to the next harvest; where there is nothing else, no folder is made.
    Raises UsageError where there is no corpus, or another harvest is under way; StoreError.
    """
    root, benchmark = Path(config.root), load_benchmark(config.benchmark, config.options)
    path = corpus_path(config, root, benchmark.id)
    if not path.is_file():
        raise UsageError(f"{path}: no such corpus; production_run and serve_run write it")
    with alone(root, benchmark.id):
        before = earlier_harvests(root, benchmark.id)
        with closing(SqliteCorpus.open_readonly(path)) as corpus:
            analysed = await analyse(corpus, benchmark.id, before.analysed)
        asked: dict[str, list[str]] = {}
        for episode, _ in analysed.shown:
            asked.setdefault(episode.task_digest, []).append(episode.id)
        tasks = sort_tasks(asked, _prompts(root, benchmark.id), _splits(benchmark), before.tasks)
        found = _harvest(config, benchmark.id, before, analysed, tasks)
        if not analysed.shown and {one.episode for one in analysed.failures} <= before.failed:
            return Harvested(None, found)
        report = report_of(found, tasks.tasks)
        return Harvested(write_harvest(root, found, tasks=tasks_text(tasks.tasks), report=report), found)


async def analyse(corpus: SqliteCorpus, benchmark: str, known: frozenset[str]) -> Analysed:
    """The signals of every production episode of the benchmark that is not `known`. Raises StoreError."""
    until = await corpus.high_water()
    shown: list[tuple[Episode, list[Signal]]] = []
    failures: list[Unread] = []
    async for episode in _episodes(corpus, benchmark, until):
        if isinstance(episode, Unread):
            failures.append(episode)
            continue
        if episode.id in known:
            continue
        try:
            history = await _history(corpus, episode)
            decisions = [one async for one in corpus.scan(Decision, {"episode_id": episode.id}, until=until)]
        except (StoreError, ValueError) as error:  # a trace that is no trace is a ValueError
            if isinstance(error, StoreError) and error.retryable:
                raise
            failures.append(_unread(episode.id, error))
        else:
            shown.append((episode, signals_of(episode, history, decisions)))
    return Analysed(shown, failures, until)


async def _episodes(corpus: SqliteCorpus, benchmark: str, until: int) -> AsyncIterator[Episode | Unread]:
    """The production episodes in order of arrival. Raises StoreError where the corpus cannot be read at all."""
    where = {"split": PRODUCTION, "benchmark": benchmark}
    try:
        for episode in [one async for one in corpus.scan(Episode, where, until=until)]:
            yield episode
    except StoreError as error:
        if error.retryable:
            raise
        async for one in _one_by_one(corpus, until):
            if isinstance(one, Unread) or (one.split == PRODUCTION and one.benchmark == benchmark):
                yield one


async def _one_by_one(corpus: SqliteCorpus, until: int) -> AsyncIterator[Episode | Unread]:
    """Every episode whose record can be read; of another the row, since it does not say what it is of."""
    table, after = TABLES[Episode], 0
    while after < until:
        try:
            async for row, record in corpus.numbered(table, after=after, until=until):
                after = row
                if isinstance(record, Episode):
                    yield record
            return
        except StoreError as error:
            if error.retryable:
                raise
            after, problem = await _next_damaged(corpus, after, until), error
            yield _unread(f"row {after}", problem)


async def _next_damaged(corpus: SqliteCorpus, after: int, until: int) -> int:
    """The first row behind `after` whose episode cannot be read."""
    for row in range(after + 1, until + 1):
        try:
            async for _ in corpus.numbered(TABLES[Episode], after=row - 1, until=row):
                pass
        except StoreError:
            return row
    return until


def _unread(episode: str, error: Exception) -> Unread:
    return Unread(episode=episode, error=plain(redacted(str(error)), 500))


async def _history(corpus: SqliteCorpus, episode: Episode) -> list[Seen]:
    """The attempts of the episode with their traces. Raises StoreError where one is missing or damaged."""
    by_id = {one.id: one async for one in corpus.scan(Attempt, {"episode_id": episode.id})}
    if missing := [id for id in episode.attempt_ids if id not in by_id]:
        raise StoreError(f"{corpus.path}: attempt {missing[0]} is missing")
    return [await seen_of(corpus, by_id[id]) for id in episode.attempt_ids]


def _harvest(config: HarvestConfig, benchmark: str, before: Earlier, analysed: Analysed, tasks: Sorted) -> Harvest:
    shown = [(episode.id, signals) for episode, signals in analysed.shown]
    return Harvest(
        name=before.next_name,
        benchmark=benchmark,
        until=analysed.until,
        findings=findings_of(benchmark, shown, evidence=config.evidence, before=before.first_seen),
        failures=tuple(analysed.failures),
        tasks=len(tasks.tasks),
        left_out=tasks.left_out,
        analysed=tuple(id for id, _ in shown),
    )


def _prompts(root: Path, benchmark: str) -> dict[str, Task]:
    """What production was asked, by digest; nothing where no prompt was kept."""
    path = prompts_path(root, benchmark)
    if not path.is_file():
        return {}
    with Prompts(path) as prompts:
        return {task.digest: task for task in prompts.all()}


def _splits(benchmark: Benchmark) -> dict[str, Sequence[Task]]:
    return {split: benchmark.tasks(split) for split in SPLITS}
