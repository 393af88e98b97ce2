"""The parts of collecting: a config that was looked at, the stores it opens, and the specs of what it plays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from controllers import Corpus, Worker
from controllers.baselines import exploring_candidate
from controllers.budget import Budget
from controllers.corpus import MemoryCorpus, SqliteCorpus
from controllers.executor import AsyncExecutor
from controllers.moves import MAX_FANOUT, STOP
from controllers.spec import EpisodeSpec
from controllers.steers import steer_table
from experiments import Benchmark
from experiments.catalogue import load_benchmark
from experiments.collect.config import CollectConfig
from experiments.places import corpus_path, ledger_beside, require_usable, require_writable
from experiments.wiring import Splits, definition_of_done, model_of, require_disjoint, revision_of
from judges.ledger import VerdictLedger
from optimizers.collect.collecting import CollectPlan
from optimizers.collect.gathering import DRAWN, Gathered, gather, made_with
from optimizers.evaluator import Evaluator
from optimizers.journal import Journal
from optimizers.setup import Grant, Setup
from signatures.digest import digest_of, seed_of
from signatures.errors import UsageError
from signatures.records import Amounts, Task


@dataclass(frozen=True)
class Prepared:
    """A config that can run: whatever could be wrong with it was looked at, and nothing was written."""

    config: CollectConfig
    benchmark: Benchmark
    worker: Worker
    tasks: tuple[Task, ...]
    plan: CollectPlan
    revision: str
    path: Path

    def setup(self, corpus: Corpus) -> Setup:
        """What episodes are played with."""
        benchmark, config = self.benchmark, self.config
        return Setup(
            worker=self.worker,
            checkers=benchmark.checkers(),
            judge=benchmark.judge(),
            objectives=benchmark.objectives,
            steers=steer_table(benchmark.directives, benchmark),
            observer=benchmark,
            corpus=corpus,
            grant=Grant(config.attempts, config.turns, self.plan.actions),
            revision=self.revision,
            executor=AsyncExecutor(config.concurrency),
        )

    @property
    def made_with(self) -> str:
        """Names what decides the trees that are grown: equal digests go on with one another's purchases."""
        return digest_of(self.revision, self.worker.fingerprint, self.config.turns, self.plan.model_dump(mode="json"))


@dataclass(frozen=True)
class Opened:
    """The stores of a run."""

    given: Prepared
    setup: Setup
    evaluator: Evaluator


def prepare(config: CollectConfig) -> Prepared:
    """Look at everything that collecting needs and write nothing. Raises UsageError for what cannot run."""
    root = Path(config.root)
    benchmark = load_benchmark(config.benchmark, config.options)
    search = benchmark.tasks("search")
    require_disjoint({"search": search, "dev": benchmark.tasks("dev"), "holdout": benchmark.tasks("holdout")})
    if config.tasks > len(search):
        raise UsageError(f"tasks={config.tasks} asked, the search split has {len(search)}")
    tasks = search[: config.tasks]
    actions = ("none", *(directive.action for directive in benchmark.directives))
    if config.plan != "branching":
        require_floor(config, actions)
    worker = benchmark.worker(config.worker, model_of(config.worker_lm, config.api_base))
    path = corpus_path(config, root, benchmark.id)
    require_usable(path)
    require_writable(path.parent)
    revision = revision_of(definition_of_done(benchmark, Splits(train=tasks, val=(), dev=())))
    plan = CollectPlan(roots=config.roots, depth=config.depth, actions=actions)
    return Prepared(config, benchmark, worker, tasks, plan, revision, path)


def require_floor(config: CollectConfig, actions: tuple[str, ...]) -> None:
    """Raises UsageError where some policy has more actions than the floor can be kept for."""
    widest = {"stop": len(STOP), "topology": 2 + min(MAX_FANOUT, config.attempts - 1), "steer": len(actions)}
    policy, most = max(widest.items(), key=lambda item: item[1])
    if config.floor * most > 1:
        raise UsageError(
            f"floor={config.floor:g} cannot hold for the {most} actions that {policy} may draw: at most {1 / most:.3f}"
        )


@contextmanager
def opened(given: Prepared) -> Iterator[Opened]:
    """Open the corpus and its ledger, and close them. Raises StoreError."""
    # Verdicts go to the ledger, and nothing else is evaluated: the journal of this evaluator stays empty.
    with (
        closing(SqliteCorpus(given.path)) as corpus,
        VerdictLedger(ledger_beside(given.path)) as ledger,
        closing(Journal(Path(os.devnull))) as journal,
    ):
        setup = given.setup(corpus)
        part = journal.part("collect")
        yield Opened(given, setup, Evaluator(setup, ledger, part, split="search", budget=Budget(Amounts())))


@contextmanager
def looked_at(given: Prepared) -> Iterator[Setup]:
    """A setup on what is recorded, where anything is; nothing is written."""
    with ExitStack() as stack:
        there = given.path.is_file() and given.path.stat().st_size > 0
        corpus = stack.enter_context(closing(SqliteCorpus.open_readonly(given.path))) if there else MemoryCorpus()
        yield given.setup(corpus)


async def survey(given: Prepared, setup: Setup) -> dict[str, Gathered]:
    """What is recorded of each task with these very parts."""
    return {
        task.digest: await gather(setup.corpus, task.digest, made_with(setup, task, given.plan), depth=given.plan.depth)
        for task in given.tasks
    }


def drawn_spec(given: Prepared, setup: Setup, task: Task, number: int) -> EpisodeSpec:
    """The stochastic episode of that number."""
    seed = seed_of(DRAWN, given.config.seed, number)
    spec = setup.spec(task, exploring_candidate(given.plan.actions), condition=DRAWN, split="search", seed=seed)
    return spec.model_copy(update={"floor": given.config.floor})
