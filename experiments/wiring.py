"""From a command's config to the parts of a search: benchmark, worker, stores, splits and the frozen manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from controllers.corpus import SqliteCorpus
from controllers.executor import AsyncExecutor
from controllers.steers import steer_table
from experiments import Benchmark
from experiments.catalogue import load_benchmark
from experiments.gepa_config import GepaConfig
from judges.ledger import VerdictLedger
from judges.manifest import Manifest, freeze, manifest_of
from optimizers.journal import Journal
from optimizers.setup import Grant, Setup
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.records import Split, Task

if TYPE_CHECKING:
    import dspy


@dataclass(frozen=True)
class Splits:
    """The tasks of one run: train and val are disjoint parts of the search split."""

    train: tuple[Task, ...]
    val: tuple[Task, ...]
    dev: tuple[Task, ...]


@dataclass(frozen=True)
class Wired:
    """The parts of one run, opened."""

    benchmark: Benchmark
    setup: Setup
    splits: Splits
    manifest: Manifest
    ledger: VerdictLedger
    journal: Journal
    lm: dspy.LM | None

    @property
    def actions(self) -> tuple[str, ...]:
        """What a steer policy may draw: nothing, or a directive of the table."""
        return self.setup.grant.steer_legal


@contextmanager
def wired(config: GepaConfig, run_folder: Path, *, lm: dspy.LM | None = None) -> Iterator[Wired]:
    """Open everything a run needs, and close it. Raises UsageError and StoreError before anything is spent."""
    benchmark = load_benchmark(config.benchmark, config.options)
    if lm is None and config.lm is not None:
        from controllers.lm import make_lm

        lm = make_lm(config.lm, {"api_base": config.api_base} if config.api_base else None)
    worker = benchmark.worker(config.worker, config.lm if config.worker == "chat" else None)
    splits = split_tasks(benchmark, config)
    manifest = definition_of_done(benchmark, splits)
    freeze(run_folder / "manifest.json", manifest)
    actions = ("none", *(directive.action for directive in benchmark.directives))
    corpus_path = Path(config.corpus) if config.corpus else run_folder.parent / f"corpus-{benchmark.id}.db"
    with (
        VerdictLedger(corpus_path.with_suffix(".verdicts.db")) as ledger,
        closing(SqliteCorpus(corpus_path)) as corpus,
        closing(Journal(run_folder / "journal.jsonl")) as journal,
    ):
        setup = Setup(
            worker=worker,
            checkers=benchmark.checkers(),
            judge=benchmark.judge(),
            objectives=benchmark.objectives,
            steers=steer_table(benchmark.directives, benchmark, lm),
            observer=benchmark,
            corpus=corpus,
            grant=Grant(config.attempts, config.turns, actions),
            revision=digest_of(manifest.judge, manifest.judge_source, dict(manifest.checkers)),
            lm=lm,
            executor=AsyncExecutor(config.concurrency),
        )
        yield Wired(benchmark, setup, splits, manifest, ledger, journal, lm)


def definition_of_done(benchmark: Benchmark, splits: Splits) -> Manifest:
    """The manifest of a run, from the code and settings as they are now."""
    return manifest_of(
        judge=benchmark.judge(),
        checkers=benchmark.checkers(),
        splits={"search": (*splits.train, *splits.val), "dev": splits.dev},
        objectives=benchmark.objectives,
        directives=benchmark.directives,
    )


def split_tasks(benchmark: Benchmark, config: GepaConfig) -> Splits:
    """Train and val from the front of the search split, dev from the dev split. Raises UsageError on overlap."""
    search, dev = benchmark.tasks("search"), benchmark.tasks("dev")
    require_disjoint({"search": search, "dev": dev})
    for name, wanted, there in (("train + val", config.train + config.val, search), ("dev", config.dev, dev)):
        if wanted > len(there):
            raise UsageError(f"{name}: {wanted} tasks asked, the split has {len(there)}")
    train, val = search[: config.train], search[config.train : config.train + config.val]
    return Splits(train=train, val=val, dev=dev[: config.dev])


def require_disjoint(splits: dict[Split, Sequence[Task]]) -> None:
    """Raises UsageError listing task digests that are in two splits."""
    seen: dict[str, str] = {}
    for split, tasks in splits.items():
        shared = [task.digest for task in tasks if seen.setdefault(task.digest, split) != split]
        if shared:
            raise UsageError(
                f"splits overlap: {len(shared)} tasks of {split} are in another split: {', '.join(shared[:5])}"
            )
