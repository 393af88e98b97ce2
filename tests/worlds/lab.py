"""The planted world wired up: a setup, a ledger, journals and evaluators in one folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from controllers import Corpus
from controllers.baselines import seed_candidate
from controllers.budget import Budget
from controllers.corpus import MemoryCorpus
from controllers.executor import AsyncExecutor
from controllers.program import rule_component
from controllers.retry import Breaker, RetryPolicy
from controllers.steers import steer_table
from judges import Judge
from judges.ledger import VerdictLedger
from optimizers.archive import Archive
from optimizers.collect.collecting import CollectPlan, collect
from optimizers.evaluator import Evaluator
from optimizers.journal import Journal
from optimizers.meter import Limits
from optimizers.records import TaskScore
from optimizers.replay.tree import Tree, TreeReplay
from optimizers.replaying import Replaying
from optimizers.search import Found, SearchPlan
from optimizers.setup import Grant, Setup
from optimizers.space import Space, space_of
from signatures.records import Amounts, Candidate, PolicyName, Split, Task
from tests.worlds.planted import ATTEMPTS, DIRECTIVES, LIT_GROUPS, TURNS, CountingWorker, PlantedBenchmark, PlantedJudge

STEERS = ("none", *(directive.action for directive in DIRECTIVES))
GRANT = Grant(ATTEMPTS, TURNS, STEERS)
PLAN = CollectPlan(roots=4, depth=2, actions=STEERS)
NO_WAIT = RetryPolicy(tries=1)


@dataclass
class Lab:
    """One benchmark, one corpus, one ledger; any number of evaluators on journals of their own."""

    folder: Path
    corpus: Corpus = field(default_factory=MemoryCorpus)
    benchmark: PlantedBenchmark = field(default_factory=PlantedBenchmark)
    judge: Judge = field(default_factory=PlantedJudge)
    grant: Grant = GRANT
    journals: list[Journal] = field(default_factory=list)
    ledger: VerdictLedger = field(init=False)
    worker: CountingWorker = field(init=False)

    def __post_init__(self) -> None:
        self.worker = CountingWorker(self.benchmark.worker(None, None))
        self.ledger = VerdictLedger(self.folder / "verdicts.db")

    def setup(self, *, concurrency: int = 8, breaker: int = 10) -> Setup:
        """A fresh setup on this lab's worker, judge and corpus."""
        return Setup(
            worker=self.worker,
            checkers=self.benchmark.checkers(),
            judge=self.judge,
            objectives=self.benchmark.objectives,
            steers=steer_table(self.benchmark.directives, self.benchmark),
            observer=self.benchmark,
            corpus=self.corpus,
            grant=self.grant,
            revision="planted",
            executor=AsyncExecutor(concurrency),
            retry=NO_WAIT,
            breaker=Breaker(breaker),
        )

    def evaluator(
        self,
        *,
        setup: Setup | None = None,
        split: Split = "search",
        budget: Amounts | None = None,
        replay: TreeReplay | Replaying | None = None,
        journal: str = "journal.jsonl",
        limits: Limits | None = None,
    ) -> Evaluator:
        """An evaluator on the journal file of that name."""
        opened = Journal(self.folder / journal)
        self.journals.append(opened)
        return Evaluator(
            setup or self.setup(),
            self.ledger,
            opened.part("test"),
            split=split,
            budget=Budget(budget or Amounts()),
            replay=Replaying(replay) if isinstance(replay, TreeReplay) else replay,
            limits=limits,
        )

    async def tree(self, task: Task, plan: CollectPlan = PLAN, *, judged_by: Evaluator | None = None) -> Tree:
        """The recorded and judged tree of one task; without an evaluator the ledger hears nothing of it."""
        wide = replace(self.grant, attempts=plan.most_attempts)
        setup = self.setup()
        spec = setup.spec(task, seed_candidate(), condition="collect", split="search", seed=5, grant=wide)
        episode, history, outputs = await collect(spec, setup.parts(seed_candidate()), plan)
        if judged_by is not None:
            return Tree(history, await judged_by.verdicts(task, episode, outputs))
        return Tree(history, {id: (await self.judge.judge(task, out)).score for id, out in outputs.items()})

    async def replay(
        self, tasks: Sequence[Task], plan: CollectPlan = PLAN, *, judged_by: Evaluator | None = None
    ) -> TreeReplay:
        """The trees of several tasks, to be replayed."""
        trees = {task.digest: await self.tree(task, plan, judged_by=judged_by) for task in tasks}
        return TreeReplay(trees, self.benchmark, self.benchmark.objectives, self.grant)

    def space(self, replay: TreeReplay) -> Space:
        """The space that the recorded moves span."""
        return space_of([move for digest in replay.trees for move in replay.moves(digest)], ACTIONS)

    def close_journals(self) -> None:
        """Close what the evaluators wrote, as the end of a process would."""
        while self.journals:
            self.journals.pop().close()

    def close(self) -> None:
        """Close every file."""
        self.close_journals()
        self.ledger.close()


async def cut_corpus(corpus: MemoryCorpus, records: int) -> MemoryCorpus:
    """A copy of what a corpus held after its first `records` records, with all blobs."""
    copy = MemoryCorpus()
    async for record in corpus.arrivals(until=records):
        await copy.append(record)
    await copy.append(blobs=[await corpus.blob(digest) async for digest in corpus.blob_digests()])
    return copy


ACTIONS: Mapping[PolicyName, tuple[str, ...]] = {
    "stop": ("continue", "done"),
    "topology": ("refine_last", "fanout_1"),
    "steer": STEERS,
}


@dataclass
class Listening:
    """A listener that keeps what it is told; `hook` is called first, with what was found."""

    hook: Callable[[Found], None] = lambda found: None
    found_all: list[Found] = field(default_factory=list)
    fronts: list[tuple[str, ...]] = field(default_factory=list)
    "digests on the front at the end of each generation"
    volumes: list[float] = field(default_factory=list)

    def found(self, found: Found) -> None:
        """Keep it."""
        self.hook(found)
        self.found_all.append(found)

    def generation(self, number: int, archive: Archive) -> None:
        """Keep the front. Generations come in order, none is left out."""
        assert number == len(self.fronts)
        self.fronts.append(tuple(entry.candidate for entry in archive.front()))
        self.volumes.append(archive.hypervolume())


def with_components(**components: str) -> Candidate:
    """The seed candidate with other components."""
    return Candidate(components={**seed_candidate().components, **components})


def lamp_follower() -> Candidate:
    """The best controller by construction: work on a group whose lamp is lit."""
    rules = [{"when": [{"feature": f"planted.lit.{g}", "op": ">", "value": 0.5}], "then": {g: 1.0}} for g in LIT_GROUPS]
    return with_components(steer=rule_component(rules, {"core": 1.0}))


def steered(action: str) -> Candidate:
    """The seed candidate with one directive, always."""
    return with_components(steer=rule_component([], {action: 1.0}))


def small_plan(tasks: Sequence[Task], *, seed: int = 0, generations: int = 2, iterations: int = 3) -> SearchPlan:
    """A search on the first tasks: 6 to reflect on, 10 to compare on."""
    return SearchPlan(
        start=seed_candidate(),
        train=tasks[:6],
        val=tasks[6:16],
        seed=seed,
        generations=generations,
        iterations=iterations,
        minibatch=3,
    )


def value_of(scores: Sequence[TaskScore], objective: str = "correct") -> float:
    """The mean of one objective over scores that all have it."""
    values = [score.values[objective] for score in scores]
    assert None not in values
    return sum(value or 0.0 for value in values) / len(values)
