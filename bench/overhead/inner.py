"""CPU of one search iteration at many tasks and candidates: gepa's own engine, our loop alone, and with the evaluator.

Evaluations are free here: a candidate's values on a task are looked up in a table. What is left is what a search does
with them. The clock is the CPU of this process (`time.process_time`), from one iteration's beginning to the next one's.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from controllers.baselines import seed_candidate
from controllers.budget import Budget
from controllers.corpus import MemoryCorpus
from controllers.executor import AsyncExecutor
from controllers.observe import NoObserver
from controllers.program import Controller
from controllers.steers import steer_table
from judges.ledger import VerdictLedger
from judges.records import Judgement
from optimizers.archive import Archive
from optimizers.evaluator import Evaluator, Request, Scored
from optimizers.evidence.reflection import Reflection
from optimizers.journal import Journal, Proposal
from optimizers.records import TaskScore
from optimizers.replay.tree import Replayed
from optimizers.replaying import Answer
from optimizers.search import Found, SearchPlan
from optimizers.search.gepa_search import Silent
from optimizers.search.pareto_search import Options, ParetoSearch
from optimizers.setup import Grant, Setup
from optimizers.space import Space
from signatures.digest import canonical_json
from signatures.records import (
    Amounts,
    AttemptContext,
    AttemptResult,
    Candidate,
    Cost,
    Objective,
    PolicyName,
    Task,
    WorkerFingerprint,
)

if TYPE_CHECKING:
    from gepa.core.adapter import EvaluationBatch
    from gepa.core.state import GEPAState

OBJECTIVES: Final = (
    Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge"),
    Objective(name="fast", unit="turns", worst=12.0, best=0.0, over="episode"),
)
ACTIONS: Final[Mapping[PolicyName, tuple[str, ...]]] = {
    "stop": ("continue", "done"),
    "topology": ("refine_last", "fanout_1"),
    "steer": ("none", "look", "wait"),
}
MINIBATCH: Final = 6
TRAIN: Final = 60
STEP: Final = 0.0005
"""A child is better by that on one objective and worse on the other, so that all of them are on the front."""


class Row(NamedTuple):
    """One iteration: candidates in the pool when it began, and milliseconds of CPU."""

    pool: int
    ms: float


class Marks:
    """CPU per iteration, without what the world itself took."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.free = 0.0
        "seconds that were spent on making the answers"
        self._last: tuple[float, int] | None = None

    def mark(self, pool: int) -> None:
        """An iteration ends here and the next begins."""
        now = time.process_time() - self.free
        if self._last is not None:
            self.rows.append(Row(self._last[1], 1000 * (now - self._last[0])))
        self._last = (now, pool)


class Table:
    """A world without a worker: what each candidate is worth on each task, made when it is first asked for."""

    def __init__(self, tasks: Sequence[Task], marks: Marks) -> None:
        rng = random.Random(0)
        self._tasks = {task.digest: index for index, task in enumerate(tasks)}
        self._base = [(0.2 + 0.5 * rng.random(), 0.2 + 0.5 * rng.random()) for _ in tasks]
        self._numbers: dict[str, int] = {}
        self._answers: dict[str, list[Answer]] = {}
        self._marks = marks

    def answers(self, digest: str) -> list[Answer]:
        """The answer for every task, in order."""
        if digest not in self._answers:
            began = time.process_time()
            rng, step = random.Random(digest), STEP * self._numbers.setdefault(digest, len(self._numbers))
            self._answers = {  # of the last candidate alone: they are asked for one after the other
                digest: [
                    Answer(Replayed(_values(a + step, b - step, rng), 0.0, Amounts(attempts=2, turns=6)))
                    for a, b in self._base
                ]
            }
            self._marks.free += time.process_time() - began
        return self._answers[digest]

    def answer(self, digest: str, task: Task) -> Answer:
        """The answer for one task."""
        return self.answers(digest)[self._tasks[task.digest]]


def _values(correct: float, fast: float, rng: random.Random) -> dict[str, float | None]:
    noise = 0.0001 * rng.random()
    return {"correct": round(correct + noise, 6), "fast": round(fast - noise, 6)}


class FreeReplay:
    """Stands where recorded trees stand; every task is held whole."""

    answers = True
    trees = None

    def __init__(self, table: Table) -> None:
        self._table = table
        self._digest = ""

    def covers(self, controller: Controller) -> bool:
        """Everything. One candidate is asked about at a time."""
        self._digest = controller.digest
        return True

    def moves(self, task_digest: str) -> list[Reflection]:
        """One move: enough for a task to count as recorded."""
        return [Reflection(policy="steer", features={"attempts": 1.0}, action="none", gain=0.0, turns=1)]

    async def answer(self, controller: Controller, task: Task, billed: set[str], *, seed: int) -> Answer:
        """From the table."""
        return self._table.answer(self._digest, task)


class Steps:
    """Proposes a new rule of one component each time, so that every iteration has a child that is accepted."""

    name = "steps"

    def __init__(self) -> None:
        self._asked = 0

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        """For steer alone."""
        if component != "steer":
            return None, Cost()
        self._asked += 1
        late = {"feature": "attempts", "op": ">", "value": self._asked}
        rules = {"tier": "rule", "rules": [{"when": [late], "then": {"look": 1.0}}], "otherwise": {"none": 1.0}}
        return Proposal(text=canonical_json(rules), evidence="", proposer=self.name), Cost()


class Counted:
    """A listener that marks the end of each iteration."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self.pool = 0

    def found(self, found: Found) -> None:
        """One more, if it was kept."""
        self.pool += found.decision in ("seed", "accepted")
        self._marks.mark(self.pool)

    def generation(self, number: int, archive: Archive) -> None:
        """Nothing."""


class Instant(Evaluator):
    """An evaluator whose answers are there, as records: what is left is the engine, its book and its archive."""

    table: Table
    marks: Marks

    async def evaluate(self, request: Request) -> list[Scored]:
        """From the table, off the clock."""
        digest = request.candidate.digest
        self.table.answers(digest)
        began = time.process_time()
        scored = [Scored(self._made(digest, task, request.seed)) for task in request.tasks]
        self.marks.free += time.process_time() - began
        return scored

    def _made(self, digest: str, task: Task, seed: int) -> TaskScore:
        replayed = self.table.answer(digest, task).replayed
        return TaskScore(
            candidate=digest,
            condition="candidate",
            task_digest=task.digest,
            seed=seed,
            split="search",
            values=replayed.values,
            source="replay",
            used=replayed.used,
        )


def our_rows(tasks: int, candidates: int, folder: Path | None = None) -> list[Row]:
    """Iterations of `pareto_search` until the pool holds so many; with the evaluator and a journal in `folder`."""
    marks = Marks()
    with tempfile.TemporaryDirectory() as spare:
        asyncio.run(_search(tasks, candidates, folder or Path(spare), marks, instant=folder is None))
    return marks.rows


async def _search(tasks: int, candidates: int, folder: Path, marks: Marks, *, instant: bool) -> None:
    val, train = _tasks("val", tasks), _tasks("train", TRAIN)
    table, listener = Table(val, marks), Counted(marks)
    with VerdictLedger(folder / "verdicts.db") as ledger, closing(Journal(folder / "journal.jsonl")) as journal:
        setup = Setup(
            worker=Free(),
            checkers=[],
            judge=Free(),
            objectives=OBJECTIVES,
            steers=steer_table((), NoObserver()),
            observer=NoObserver(),
            corpus=MemoryCorpus(),
            grant=Grant(3, 3, ACTIONS["steer"]),
            revision="bench",
            executor=AsyncExecutor(32),
        )
        replay: Any = FreeReplay(table)
        kind = Instant if instant else Evaluator
        evaluator = kind(setup, ledger, journal.part("bench"), split="search", budget=Budget(Amounts()), replay=replay)
        if isinstance(evaluator, Instant):
            evaluator.table, evaluator.marks = table, marks
        plan = SearchPlan(seed_candidate(), train, val, 0, candidates - 1, 1, MINIBATCH)
        space = Space({"attempts": (0.5,)}, ACTIONS)
        await ParetoSearch(space, Options(random=False)).search(plan, evaluator, Steps(), listener)


def gepa_rows(tasks: int, candidates: int) -> list[Row]:
    """Iterations of `gepa.optimize` with an adapter that costs nothing, until the pool holds so many."""
    import gepa

    marks = Marks()

    class Stop:
        def __call__(self, state: GEPAState[float, int]) -> bool:
            pool = len(state.program_candidates)
            marks.mark(pool)
            return pool >= candidates

    gepa.optimize(
        seed_candidate={"steer": "0"},
        trainset=[f"train {n}" for n in range(TRAIN)],
        valset=[f"val {n}" for n in range(tasks)],
        adapter=InstantAdapter(tasks, marks),
        reflection_minibatch_size=MINIBATCH,
        skip_perfect_score=False,
        stop_callbacks=Stop(),
        logger=Silent(),
        track_best_outputs=False,
        seed=0,
    )
    return marks.rows


class InstantAdapter:
    """gepa's adapter on a table: a child is better on the minibatch, and on the val tasks of the same kind as ours."""

    def __init__(self, tasks: int, marks: Marks) -> None:
        rng = random.Random(0)
        self._base = [0.2 + 0.5 * rng.random() for _ in range(tasks)]
        self._marks = marks
        self._asked = 0

    def evaluate(
        self, batch: list[str], candidate: dict[str, str], capture_traces: bool = False
    ) -> EvaluationBatch[float, float]:
        """Numbers by the candidate's number, off the clock."""
        from gepa.core.adapter import EvaluationBatch

        began, number = time.process_time(), int(candidate["steer"])
        if len(batch) == len(self._base):
            rng = random.Random(number)
            scores = [round(base + STEP * number + 0.0001 * rng.random(), 6) for base in self._base]
        else:
            scores = [STEP * number] * len(batch)
        self._marks.free += time.process_time() - began
        return EvaluationBatch(outputs=scores, scores=scores, trajectories=scores if capture_traces else None)

    def make_reflective_dataset(
        self, candidate: dict[str, str], batch: EvaluationBatch[float, float], components: list[str]
    ) -> dict[str, list[dict[str, str]]]:
        """One empty record each."""
        return {name: [{"record": ""}] for name in components}

    def propose_new_texts(
        self, candidate: dict[str, str], dataset: Mapping[str, Sequence[Mapping[str, str]]], components: list[str]
    ) -> dict[str, str]:
        """The next number."""
        self._asked += 1
        return {name: str(self._asked) for name in components}


class Free:
    """A worker and a judge that nobody asks."""

    fingerprint = WorkerFingerprint(name="free")
    revision, deterministic = "free 1", True

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """Never."""
        raise AssertionError("every task is recorded")

    async def judge(self, task: Task, output: str) -> Judgement:
        """Never."""
        raise AssertionError("every task is recorded")


def _tasks(part: str, count: int) -> list[Task]:
    return [Task(digest=f"{part} {n}", benchmark="free", prompt=f"{part} {n}") for n in range(count)]
