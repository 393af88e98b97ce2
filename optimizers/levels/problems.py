"""Search problems: what a whole search is asked to do, as a task of the level above; who does, checks and judges it.

At level two the worker is a search, an attempt is one search on recorded trees, its output the controller that it
found, and the judge the value of that controller on trees that the search did not see.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from controllers import Worker
from controllers.baselines import seed_candidate
from controllers.observe import NoObserver
from controllers.program import controller_of
from controllers.spec import Parts
from controllers.steers import steer_table
from judges import Judge
from judges.valued import ValuedJudge
from optimizers.archive import Archive
from optimizers.evaluator import evaluator_in
from optimizers.levels.settings import SearchSettings, plain_kit, search_with, settings_of
from optimizers.meter import Limits
from optimizers.replay.estimates import MAX_UNSUPPORTED
from optimizers.replay.tree import TreeReplay
from optimizers.replaying import Replaying
from optimizers.search import Found, SearchPlan
from optimizers.setup import Grant, Setup
from optimizers.space import Space
from signatures.digest import canonical_json, digest_of, seed_of
from signatures.errors import UsageError
from signatures.records import (
    Amounts,
    AttemptContext,
    AttemptResult,
    Candidate,
    CheckerResult,
    Cost,
    Objective,
    Task,
    TraceEvent,
    WorkerFingerprint,
)

BENCHMARK: Final = "search problems"
OBJECTIVES: Final = (
    Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge"),
    Objective(name="volume", unit="volume", worst=0.0, best=1.0, over="lineage"),
)
"""The value of what was found on tasks that the search did not see, and the volume of its front on those it did."""
ONE: Final = Grant(attempts=1, turns_per_attempt=None, steer_legal=("none",))
"""An episode of level two is one search."""


class Problem(NamedTuple):
    """One search to be done: on which tasks, from which seed."""

    train: tuple[Task, ...]
    val: tuple[Task, ...]
    held: tuple[Task, ...]
    "what the result is judged on"
    seed: int

    @property
    def task(self) -> Task:
        """The problem as a task."""
        parts = [[task.digest for task in tasks] for tasks in (self.train, self.val, self.held)]
        digest = digest_of("search problem", parts, self.seed)
        said = f"Find a controller on {len(self.train)} and {len(self.val)} tasks, from seed {self.seed}."
        return Task(digest=digest, benchmark=BENCHMARK, prompt=said)


@dataclass(frozen=True)
class Ground:
    """What every search of level two stands on: the level below, its record, and what one search may spend."""

    setup: Setup
    "of the level below"
    trees: TreeReplay
    space: Space
    problems: Mapping[str, Problem]
    "by the digest of their task"
    compute: int
    "attempts that the evaluations of one search stand for, equal for all settings"
    folder: Path
    "where each search keeps its journal"
    start: Candidate = field(default_factory=seed_candidate)

    def live(self, problem: Problem, minibatch: int) -> int:
        """The most attempts that one search may make where its trees hold too little: one evaluation and a proposal."""
        return (len(problem.val) + 2 * minibatch) * self.setup.grant.attempts


class Kept:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.found_all: list[Found] = []

    def found(self, found: Found) -> None:
        """Keep it."""
        self.found_all.append(found)

    def generation(self, number: int, archive: Archive) -> None:
        """Nothing: the archive has it all in the end."""


@dataclass(frozen=True)
class SearchWorker:
    """Does search problems with one set of settings."""

    ground: Ground
    settings: SearchSettings

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The settings, the level below, the size of a search and the trees that it is replayed on."""
        ground = self.ground
        recorded = {task: [seen.attempt.id for seen in tree.history] for task, tree in ground.trees.trees.items()}
        below = digest_of(ground.setup.worker.fingerprint, ground.setup.revision, recorded)
        params = {"settings": canonical_json(self.settings), "compute": str(ground.compute), "below": below}
        return WorkerFingerprint(name="search", params={**params, "start": ground.start.digest})

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One search, from its own journal where it was begun before. Its trace is what it found, in order."""
        ground, problem = self.ground, self.ground.problems[task.digest]
        folder, replaying = ground.folder / context.attempt_id, Replaying(ground.trees)
        folder.mkdir(parents=True, exist_ok=True)
        minibatch = min(self.settings.minibatch, len(problem.train))
        plan = SearchPlan(ground.start, problem.train, problem.val, problem.seed, 4, 4, minibatch)
        kept, kit = Kept(), plain_kit(ground.space, ground.setup.grant.steer_legal, replaying)
        with evaluator_in(
            folder,
            ground.setup,
            budget=Amounts(attempts=ground.live(problem, minibatch)),
            replay=replaying,
            limits=Limits(compute=ground.compute),
        ) as evaluator:
            archive = await search_with(self.settings, plan, evaluator, kit, kept)
            best = archive.front()[0]
            found = evaluator.members.candidates[best.candidate]
            spent = evaluator.meter.spent()
        body = {"components": dict(found.components), "val": best.vector[0], "volume": archive.hypervolume()}
        body |= {"compute": spent.compute, "live": spent.attempts}
        events = tuple(_event(number, one) for number, one in enumerate(kept.found_all))
        return AttemptResult(output=canonical_json(body), trace=events, cost=Cost(turns=len(events)))


def _event(number: int, one: Found) -> TraceEvent:
    """One candidate of a search as one step of its trace."""
    return TraceEvent(turn=number, kind="tool", name=one.proposer, arguments=one.candidate.digest, text=one.hypothesis)


@dataclass(frozen=True)
class FoundChecker:
    """Reads off a search's output what the search itself measured: its own value, or the volume of its front."""

    objective: str

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """`correct` is the val mean of what is handed in: optimistic, as every winner's is, and never the verdict."""
        name = "val" if self.objective == "correct" else "volume"
        value = float(json.loads(result.output)[name])
        return CheckerResult(objective=self.objective, value=value, unit="share" if name == "val" else "volume")


def held_judge(ground: Ground) -> Judge:
    """The exact value, on recorded trees, of the controller that a search handed in, on tasks that it did not see.

    That is the mean of `correct` over the held tasks whose trees hold what it does; None where none does.
    """

    async def value(task: Task, output: str) -> tuple[float | None, str]:
        controller = controller_of(Candidate(components=json.loads(output)["components"]), ground.setup.lm)
        primary, held = ground.setup.objectives[0].name, ground.problems[task.digest].held
        known: list[float] = []
        for one in held:
            replayed = await ground.trees.value(controller, one)
            if replayed is not None and replayed.unsupported <= MAX_UNSUPPORTED:
                number = replayed.values.get(primary)
                known += [] if number is None else [number]
        return (sum(known) / len(known) if known else None), f"{len(known)} of {len(held)} tasks"

    return ValuedJudge(value, "value on held-out trees 1")


@dataclass(frozen=True)
class SearchSetup(Setup):
    """A setup in which the candidate is the worker: the settings that a search is done with."""

    ground: Ground | None = None

    def parts(self, candidate: Candidate) -> Parts:
        """One attempt, by a search with the candidate's settings. Raises UsageError for what are no settings."""
        assert self.ground is not None
        worker: Worker = SearchWorker(self.ground, settings_of(candidate))
        return Parts(
            controller=controller_of(seed_candidate()),
            worker=worker,
            checkers=self.checkers,
            steers=self.steers,
            observer=self.observer,
            corpus=self.corpus,
            retry=self.retry,
            breaker=self.breaker,
        )


def search_setup(ground: Ground, below: Setup, *, revision: str) -> SearchSetup:
    """The setup of level two, with the corpus, executor and patience of `below`."""
    return SearchSetup(
        worker=SearchWorker(ground, SearchSettings()),
        checkers=[FoundChecker(objective.name) for objective in OBJECTIVES],
        judge=held_judge(ground),
        objectives=OBJECTIVES,
        steers=steer_table([], NoObserver()),
        observer=NoObserver(),
        corpus=below.corpus,
        grant=ONE,
        revision=revision,
        executor=below.executor,
        retry=below.retry,
        breaker=below.breaker,
        ground=ground,
    )


def problems_of(tasks: Sequence[Task], sizes: tuple[int, int, int], *, count: int, seed: int) -> tuple[Problem, ...]:
    """`count` problems: each shuffles the tasks anew into train, val and held ones of these sizes.

    Problems share tasks, so they are not independent draws of the benchmark: what is found on them is confirmed on
    others. Raises UsageError where there are too few tasks.
    """
    a, b, c = sizes
    if a + b + c > len(tasks):
        raise UsageError(f"a search problem of {a} + {b} + {c} tasks does not fit into {len(tasks)}")
    found = []
    for number in range(count):
        own = seed_of("search problem", seed, number)
        rows = list(tasks)
        random.Random(own).shuffle(rows)
        found.append(Problem(tuple(rows[:a]), tuple(rows[a : a + b]), tuple(rows[a + b : a + b + c]), own))
    return tuple(found)
