"""One iteration of a live search by part: gepa's engine, reflection, proposer, evaluator, stores."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from controllers import RecordT
from controllers.baselines import seed_candidate
from controllers.budget import Budget
from controllers.corpus import SqliteCorpus
from controllers.corpus.schema import AnyRecord
from controllers.executor import AsyncExecutor
from controllers.observe import NoObserver
from controllers.steers import steer_table
from judges.ledger import VerdictLedger
from judges.records import Judgement, Verdict
from optimizers.archive import Archive
from optimizers.collect.collecting import CollectPlan, collect
from optimizers.evaluator import Evaluator
from optimizers.evidence.gathered import Evidence
from optimizers.evidence.reflection import Reflection
from optimizers.gepa_adapter import Adapter, Batch, Example
from optimizers.journal import Journal, Proposal, Proposed
from optimizers.proposers.mined import MinedProposer
from optimizers.records import TaskScore
from optimizers.replay.tree import Tree, TreeReplay
from optimizers.replaying import Replaying
from optimizers.search import Found, SearchPlan, gepa_search
from optimizers.setup import Grant, Setup
from optimizers.space import Space, random_edit, space_of
from signatures.digest import seed_of
from signatures.records import (
    Amounts,
    AttemptContext,
    AttemptResult,
    Candidate,
    CheckerResult,
    Cost,
    Directive,
    Objective,
    PolicyName,
    Task,
    TraceEvent,
    WorkerFingerprint,
)

if TYPE_CHECKING:
    from gepa.core.state import GEPAState
    from gepa.proposer.base import CandidateProposal

DIRECTIVES = (Directive(action="look", text="Look first."), Directive(action="wait", text="Wait."))
STEERS = ("none", "look", "wait")
ACTIONS: Mapping[PolicyName, tuple[str, ...]] = {
    "stop": ("continue", "done"),
    "topology": ("refine_last", "fanout_1"),
    "steer": STEERS,
}
OBJECTIVES = (
    Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge"),
    Objective(name="fast", unit="turns", worst=12.0, best=0.0, over="episode"),
)
MINIBATCH = 6


class Clock:
    """Seconds and calls by name."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew; of what is under way only the rest counts."""
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._began = time.perf_counter()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - max(start, self._began)
            self.calls[name] += 1


class Free:
    """A worker, a checker and a judge in one, of a world of one number that refinements raise."""

    fingerprint = WorkerFingerprint(name="free")
    revision, deterministic = "free 1", True
    events = tuple(TraceEvent(turn=n, kind="tool", name="step", text="done") for n in range(3))

    def __init__(self, objective: str = "correct") -> None:
        self.objective = objective

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        likely = {"look": 0.6, "wait": 0.1}.get(context.steer.action, 0.3)
        value = float(start or 0.0) + 0.25 * (random.Random(context.seed).random() < likely)
        state = str(min(1.0, value))
        return AttemptResult(output=state, state=state, trace=self.events, cost=Cost(turns=3))

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        value = float(result.output) if self.objective == "correct" else 3.0
        return CheckerResult(objective=self.objective, value=value, unit="x", passed=value == 1.0)

    async def judge(self, task: Task, output: str) -> Judgement:
        return Judgement(score=float(output))


class TimedCorpus:
    """The corpus on disk, on the clock."""

    def __init__(self, inner: SqliteCorpus, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock

    async def append(self, *records: AnyRecord, blobs: Iterable[bytes] = ()) -> None:
        with self._clock("corpus"):
            await self._inner.append(*records, blobs=blobs)

    async def get(self, kind: type[RecordT], id: str) -> RecordT | None:
        with self._clock("corpus"):
            return await self._inner.get(kind, id)

    async def scan(
        self, kind: type[RecordT], where: Mapping[str, str] | None = None, *, until: int | None = None
    ) -> AsyncIterator[RecordT]:
        with self._clock("corpus"):
            found = [record async for record in self._inner.scan(kind, where, until=until)]
        for record in found:
            yield record

    async def high_water(self) -> int:
        with self._clock("corpus"):
            return await self._inner.high_water()

    async def blob(self, digest: str) -> bytes:
        with self._clock("corpus"):
            return await self._inner.blob(digest)


class TimedLedger(VerdictLedger):
    """The ledger on the clock."""

    clock: Clock

    async def append(self, *verdicts: Verdict) -> None:
        with self.clock("ledger"):
            await super().append(*verdicts)

    async def held(self, id: str) -> Verdict | None:
        with self.clock("ledger"):
            return await super().held(id)


class TimedJournal(Journal):
    """The journal on the clock."""

    clock: Clock

    def write_scores(self, scored: Mapping[str, TaskScore], *, wall_s: float | None = None) -> None:
        with self.clock("journal"):
            super().write_scores(scored, wall_s=wall_s)

    def write_proposal(self, key: str, proposal: Proposed, *, wall_s: float | None = None) -> None:
        with self.clock("journal"):
            super().write_proposal(key, proposal, wall_s=wall_s)


class Always:
    """The mined proposal, and where it has none a random edit, so that every iteration has a child."""

    name = "always"

    def __init__(self, space: Space, clock: Clock) -> None:
        self._space = space
        self._clock = clock

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        with self._clock("proposer"):
            mined, cost = await MinedProposer(self._space).propose(candidate, component, records, seed=seed)
            if mined is not None:
                return mined, cost
            here = Space(self._space.thresholds, {component: self._space.actions[component]})
            rng = random.Random(seed_of("bench", seed))
            child = candidate
            while child == candidate:
                child = random_edit(child, here, rng)
            return Proposal(text=child.components[component], evidence="", proposer=self.name), cost


def timed_adapter(clock: Clock) -> type[Adapter]:
    """Our adapter with a clock around what gepa calls."""

    class Timed(Adapter):
        def evaluate(self, batch: list[Example], candidate: dict[str, str], capture_traces: bool = False) -> Batch:
            with clock("evaluate"):
                return super().evaluate(batch, candidate, capture_traces)

        def make_reflective_dataset(
            self, candidate: dict[str, str], eval_batch: Batch, components_to_update: list[str]
        ) -> dict[str, list[dict[str, Evidence]]]:
            with clock("reflect"):
                return super().make_reflective_dataset(candidate, eval_batch, components_to_update)

        def propose_new_texts(
            self,
            candidate: dict[str, str],
            reflective_dataset: Mapping[str, Sequence[Mapping[str, Evidence]]],
            components_to_update: list[str],
        ) -> dict[str, str]:
            with clock("propose"):
                return super().propose_new_texts(candidate, reflective_dataset, components_to_update)

        def should_accept(self, proposal: CandidateProposal[str], state: GEPAState[TaskScore, str]) -> bool:
            with clock("accept"):
                return super().should_accept(proposal, state)

    return Timed


class Counting:
    """A listener that counts; the clock starts when the seed is done."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.decisions: Counter[str] = Counter()
        self.started = 0.0

    def found(self, found: Found) -> None:
        self.decisions[found.decision] += 1

    def generation(self, number: int, archive: Archive) -> None:
        if number == 0:
            self._clock.reset()
            self.started = time.perf_counter()


async def ours(folder: Path, iterations: int, val: int, train: int, *, at_once: int) -> dict[str, float]:
    """Milliseconds per iteration of our search, by part; the parts add up where episodes come one after another."""
    clock = Clock()
    tasks = [Task(digest=f"t{n}", benchmark="free", prompt=f"task {n}") for n in range(val + train)]
    with (
        closing(SqliteCorpus(folder / "corpus.db")) as corpus,
        TimedLedger(folder / "verdicts.db") as ledger,
        closing(TimedJournal(folder / "journal.jsonl")) as journal,
    ):
        ledger.clock = journal.clock = clock
        setup = Setup(
            worker=Free(),
            checkers=[Free(o.name) for o in OBJECTIVES],
            judge=Free(),
            objectives=OBJECTIVES,
            steers=steer_table(DIRECTIVES, NoObserver()),
            observer=NoObserver(),
            corpus=TimedCorpus(corpus, clock),
            grant=Grant(3, 3, STEERS),
            revision="bench",
            executor=AsyncExecutor(at_once),
        )
        replay = await trees(setup, tasks[:train])
        space = space_of([m for digest in replay.trees for m in replay.moves(digest)], ACTIONS)
        evaluator = Evaluator(
            setup,
            ledger,
            journal.part("bench"),
            split="search",
            budget=Budget(Amounts()),
            replay=Replaying(replay, answers=False),
        )
        plan = SearchPlan(seed_candidate(), tasks[:train], tasks[train:], 0, iterations, 1, MINIBATCH)
        listener = Counting(clock)
        gepa_search.Adapter = timed_adapter(clock)  # type: ignore[misc]  # the seam that only a timing needs
        await gepa_search.GepaSearch().search(plan, evaluator, Always(space, clock), listener)
        total = time.perf_counter() - listener.started
    return parts_of(clock, total, iterations) | {"accepted": float(listener.decisions["accepted"])}


def parts_of(clock: Clock, total: float, iterations: int) -> dict[str, float]:
    """Parts that add up to the total, in milliseconds per iteration."""
    spent = clock.seconds
    adapter = spent["evaluate"] + spent["reflect"] + spent["propose"] + spent["accept"]
    stores = spent["corpus"] + spent["ledger"] + spent["journal"]
    parts = {
        "gepa's engine": total - adapter,
        "reflective records": spent["reflect"],
        "mined proposer": spent["proposer"],
        "corpus": spent["corpus"],
        "ledger": spent["ledger"],
        "journal": spent["journal"],
        "episodes and evaluator": adapter - spent["reflect"] - spent["proposer"] - stores,
        "total": total,
    }
    return {name: 1000 * seconds / iterations for name, seconds in parts.items()}


async def trees(setup: Setup, tasks: Sequence[Task]) -> TreeReplay:
    """What the proposer reads: two roots per task and each action once."""
    found: dict[str, Tree] = {}
    plan = CollectPlan(roots=2, depth=2, actions=STEERS)
    for task in tasks:
        spec = setup.spec(task, seed_candidate(), condition="collect", split="search", seed=1)
        _, history, outputs = await collect(spec, setup.parts(seed_candidate()), plan)
        found[task.digest] = Tree(history, {id: float(output) for id, output in outputs.items()})
    return TreeReplay(found, setup.observer, OBJECTIVES, setup.grant)


def theirs(iterations: int, val: int, train: int) -> dict[str, float]:
    """Milliseconds per iteration of gepa with its default adapter; its model and its reflection are instant."""
    import gepa
    from gepa.adapters.default_adapter.default_adapter import DefaultAdapter, EvaluationResult

    rng = random.Random(0)
    marks: list[float] = []

    class Stop:
        def __call__(self, state: object) -> bool:
            marks.append(time.perf_counter())
            return len(marks) > iterations

    def items(part: str, count: int) -> list[dict[str, object]]:
        return [{"input": f"{part} {n}", "additional_context": {}, "answer": ""} for n in range(count)]

    adapter = DefaultAdapter(
        lambda messages: "", lambda data, response: EvaluationResult(rng.choice((0.0, 0.5, 1.0)), "")
    )
    result = gepa.optimize(
        seed_candidate={"instructions": "start"},
        trainset=items("train", train),
        valset=items("val", val),
        adapter=adapter,
        reflection_lm=lambda prompt: f"```\ntext {rng.random()}\n```",
        skip_perfect_score=False,
        reflection_minibatch_size=MINIBATCH,
        stop_callbacks=Stop(),
        logger=gepa_search.Silent(),
        track_best_outputs=False,
        seed=0,
    )
    total = 1000 * (marks[-1] - marks[0]) / iterations
    return {"total": total, "accepted": float(len(result.candidates) - 1)}
