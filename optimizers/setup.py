"""What candidates are evaluated on: one worker, its checkers and judge, and the grant of one episode."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from controllers import Checker, Corpus, Worker
from controllers.executor import AsyncExecutor, Executor
from controllers.observe import Observer
from controllers.program import PROGRAM, Controller, controller_of
from controllers.retry import Breaker, RetryPolicy
from controllers.spec import EpisodeSpec, Parts
from controllers.steers import Steerer
from judges import Judge
from signatures.records import Amounts, Candidate, Objective, Split, Task

if TYPE_CHECKING:
    import dspy

MOST_PROGRAMS: Final = 8
"""Programs whose processes are kept."""


@dataclass(frozen=True)
class Grant:
    """What one episode may spend: attempts, and turns of each."""

    attempts: int
    turns_per_attempt: int | None
    steer_legal: tuple[str, ...]

    @property
    def amounts(self) -> Amounts:
        """The grant as budget amounts."""
        turns = None if self.turns_per_attempt is None else self.attempts * self.turns_per_attempt
        return Amounts(attempts=self.attempts, turns=turns)


class Programs:
    """The controllers of strategy programs that were used last: each has a process, and remembers its moves.

    A candidate is evaluated many times, on a few tasks each; rules are loaded anew, which costs nothing.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[dspy.LM | None, Controller]] = OrderedDict()

    def controller(self, candidate: Candidate, lm: dspy.LM | None) -> Controller:
        """The controller of a candidate. Raises UsageError for one that does not load."""
        if PROGRAM not in candidate.components:
            return controller_of(candidate, lm)
        digest = candidate.digest
        asked, found = self._kept.get(digest, (None, None))
        if found is None or asked is not lm:
            found = controller_of(candidate, lm)
        self._kept[digest] = lm, found
        self._kept.move_to_end(digest)
        while len(self._kept) > MOST_PROGRAMS:
            self._kept.popitem(last=False)  # its process ends when nobody plays it any more
        return found


@dataclass(frozen=True)
class Setup:
    """Everything an evaluation needs beside the candidate, the tasks and the budget."""

    worker: Worker
    checkers: Sequence[Checker]
    judge: Judge
    objectives: tuple[Objective, ...]
    steers: Mapping[str, Steerer]
    observer: Observer
    corpus: Corpus
    grant: Grant
    revision: str
    "digest of the manifest: judge, checkers, splits"
    lm: dspy.LM | None = None
    executor: Executor = field(default_factory=AsyncExecutor)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: Breaker = field(default_factory=Breaker)
    programs: Programs = field(default_factory=Programs, compare=False)

    def parts(self, candidate: Candidate) -> Parts:
        """The parts that play an episode of `candidate`. Raises UsageError for a candidate that does not load."""
        return Parts(
            controller=self.programs.controller(candidate, self.lm),
            worker=self.worker,
            checkers=self.checkers,
            steers=self.steers,
            observer=self.observer,
            corpus=self.corpus,
            retry=self.retry,
            breaker=self.breaker,
        )

    def spec(
        self, task: Task, candidate: Candidate, *, condition: str, split: Split, seed: int, grant: Grant | None = None
    ) -> EpisodeSpec:
        """The spec of one episode."""
        given = grant or self.grant
        return EpisodeSpec(
            task=task,
            split=split,
            condition=condition,
            candidate=candidate.digest,
            seed=seed,
            granted=given.amounts,
            turns_per_attempt=given.turns_per_attempt,
            steer_legal=given.steer_legal,
            revision=self.revision,
        )
