"""A small planted search problem, for tests of engines: what is told to the worker decides whether it succeeds.

Each task needs one of two words. A first attempt shows which, as a feature; an attempt that is told the right word
succeeds nine times in ten, any other two times in ten. The best rules are known: say the word that is shown.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controllers.baselines import seed_candidate
from controllers.corpus import MemoryCorpus
from controllers.executor import AsyncExecutor
from controllers.history import Seen
from controllers.program import lm_component
from controllers.retry import Breaker, RetryPolicy
from controllers.steers import steer_table
from judges.testing import ScriptedJudge
from optimizers.archive import Archive
from optimizers.evaluator import Evaluator, evaluator_in
from optimizers.evidence.reflection import Reflection
from optimizers.journal import Proposal
from optimizers.meter import Limits
from optimizers.search import Found, Kit, SearchPlan
from optimizers.setup import Grant, Setup
from optimizers.space import Space, random_edit
from signatures.digest import digest_of, seed_of
from signatures.errors import ProgramFault
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
    import dspy

WORDS: Final = ("left", "right")
STEERS: Final = ("none", *WORDS)
PRICE: Final = Cost(turns=1, tokens_in=80, tokens_out=20, usd=0.01)
"""Of one attempt."""
ASKED: Final = Cost(tokens_in=40, tokens_out=10, usd=0.005)
"""Of one proposal."""
TASKS: Final = tuple(
    Task(digest=digest_of("planted search", n), benchmark="planted search", prompt=f"Turn {n}.") for n in range(40)
)
OBJECTIVES: Final = (
    Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge"),
    Objective(name="fast", unit="turns", worst=4.0, best=0.0, over="episode"),
)
SPACE: Final = Space(
    thresholds={"planted.left": (0.5,), "attempts": (1.5,)},
    actions={"stop": ("continue", "done"), "topology": ("refine_last", "fanout_1"), "steer": STEERS},
)


def needed(task: Task) -> str:
    """The word that a task needs."""
    return WORDS[int(task.digest, 16) % 2]


@dataclass
class PlantedWorker:
    """Counts its attempts; raises what `fails` returns for a task."""

    fails: Callable[[Task], Exception | None] = lambda task: None
    attempts: int = 0

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """One worker, whatever fails."""
        return WorkerFingerprint(name="planted search")

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """Succeeds by a draw of the context's seed. Raises what it is told to raise."""
        self.attempts += 1
        error = self.fails(task)
        if error is not None:
            raise error
        likely = 0.9 if context.steer.text == needed(task) else 0.2
        done = start == "done" or random.Random(context.seed).random() < likely
        said = "done" if done else "failed"
        event = TraceEvent(turn=0, kind="tool", name="turn", text=needed(task), failed=not done)
        return AttemptResult(output=said, state=said, trace=(event,), cost=PRICE)


@dataclass(frozen=True)
class PlantedChecker:
    """Checker of one objective: it reads what the worker says, which is true here."""

    objective: str

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """1 where the attempt succeeded; one turn each."""
        done = result.output == "done"
        value = float(done) if self.objective == "correct" else 1.0
        return CheckerResult(objective=self.objective, value=value, unit="share", passed=done)


@dataclass
class PlantedObserver:
    """Shows the word that the last attempt came upon; fails like a program on the tasks in `faulty`."""

    faulty: frozenset[str] = frozenset()

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """`planted.left`: 1 for left, 0 for right; nothing before the first attempt. Raises ProgramFault."""
        if history and history[-1].attempt.task_digest in self.faulty:
            raise ProgramFault("it failed on purpose")
        return {"planted.left": float(history[-1].trace[0].text == "left")} if history and history[-1].trace else {}

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """Nothing is."""
        return {}

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """The word."""
        return action


@dataclass
class Editing:
    """A proposer of random edits of the component it is asked for, at a price."""

    name: str = "editing"

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        """A function of the seed."""
        here = Space(SPACE.thresholds, {component: SPACE.actions[component]})
        child = random_edit(candidate, here, random.Random(seed_of("editing", seed, candidate.digest, component)))
        text, saying = child.components[component], f"This {component} does better."
        return Proposal(text=text, evidence=f"edit {seed}", proposer=self.name, hypothesis=saying), ASKED


@dataclass
class Told:
    """A listener that keeps all it is told, in order."""

    found_all: list[Found] = field(default_factory=list)
    generations: list[int] = field(default_factory=list)
    fronts: list[tuple[str, ...]] = field(default_factory=list)

    def found(self, found: Found) -> None:
        """Keep it."""
        self.found_all.append(found)

    def generation(self, number: int, archive: Archive) -> None:
        """Keep its number and the front."""
        self.generations.append(number)
        self.fronts.append(tuple(entry.candidate for entry in archive.front()))


@dataclass
class Problem:
    """The world with a corpus of its own. Another problem is another process with an empty corpus."""

    worker: PlantedWorker = field(default_factory=PlantedWorker)
    observer: PlantedObserver = field(default_factory=PlantedObserver)
    corpus: MemoryCorpus = field(default_factory=MemoryCorpus)
    concurrency: int = 4
    lm: dspy.LM | None = None
    "the model of the start's steer policy; None: the start has rules alone"

    @property
    def setup(self) -> Setup:
        """A fresh setup on this problem's worker and corpus: two attempts an episode."""
        return Setup(
            worker=self.worker,
            checkers=[PlantedChecker(objective.name) for objective in OBJECTIVES],
            judge=ScriptedJudge(dict.fromkeys((task.digest for task in TASKS), "done")),
            objectives=OBJECTIVES,
            steers=steer_table([Directive(action=word, text=word) for word in WORDS], self.observer),
            observer=self.observer,
            corpus=self.corpus,
            grant=Grant(2, None, STEERS),
            revision="planted search",
            executor=AsyncExecutor(self.concurrency),
            retry=RetryPolicy(tries=1),
            breaker=Breaker(1_000),
            lm=self.lm,
        )

    def kit(self, folder: Path) -> Kit:
        """What an engine may be built from here."""
        return Kit(space=SPACE, lm=self.lm, folder=folder, steer_legal=STEERS)

    def plan(self, *, seed: int = 0, generations: int = 2, iterations: int = 4) -> SearchPlan:
        """A small search: 6 tasks to reflect on, 8 to compare on."""
        start, train, val = seed_candidate(), TASKS[:6], TASKS[6:14]
        if self.lm is not None:
            start = Candidate(components={**start.components, "steer": lm_component("steer", self.lm)})
        return SearchPlan(start, train, val, seed, generations, iterations, minibatch=3)

    @contextmanager
    def evaluator(self, folder: Path, limits: Limits | None = None) -> Iterator[Evaluator]:
        """An evaluator on the journal in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        with evaluator_in(folder, self.setup, budget=Amounts(), limits=limits) as evaluator:
            yield evaluator
