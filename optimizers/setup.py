"""What candidates are evaluated on: one worker, its checkers and judge, and the grant of one episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controllers import Checker, Corpus, Worker
from controllers.executor import AsyncExecutor, Executor
from controllers.observe import Observer
from controllers.program import controller_of
from controllers.retry import Breaker, RetryPolicy
from controllers.spec import EpisodeSpec, Parts
from controllers.steers import Steerer
from judges import Judge
from signatures.records import Amounts, Candidate, Objective, Split, Task

if TYPE_CHECKING:
    import dspy


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

    def parts(self, candidate: Candidate) -> Parts:
        """The parts that play an episode of `candidate`. Raises UsageError for a candidate that does not load."""
        return Parts(
            controller=controller_of(candidate, self.lm),
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
