"""Several domains as one to learn on: every task keeps its own worker, checkers, judge, steers and features.

A controller of the pool may draw the actions that all of its domains have, and decide by the features they share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controllers import Checker, Worker
from controllers.history import Seen
from controllers.observe import Observer
from controllers.steers import Steerer, steer_table
from experiments.transfer.carrying import is_foreign
from experiments.transfer.domains import Domain
from judges import Judge
from judges.records import Judgement
from optimizers.space import Space
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.records import (
    AttemptContext,
    AttemptResult,
    CheckerResult,
    Cost,
    Directive,
    Objective,
    Split,
    Steer,
    Task,
    WorkerFingerprint,
)

if TYPE_CHECKING:
    import dspy

POOL = "pool"


@dataclass(frozen=True)
class PoolWorker:
    """Each task is attempted by its domain's worker."""

    of: Mapping[str, Worker]
    "task digest -> worker"
    fingerprint: WorkerFingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """That worker's attempt."""
        return await self.of[task.digest].attempt(task, context, start)


@dataclass(frozen=True)
class PoolChecker:
    """Each attempt is checked by its domain's checker of one objective."""

    objective: str
    of: Mapping[str, Checker]

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """That checker's result."""
        return await self.of[task.digest].check(task, result)


@dataclass(frozen=True)
class PoolJudge:
    """Each output is judged by its domain's judge."""

    of: Mapping[str, Judge]
    revision: str
    deterministic: bool

    async def judge(self, task: Task, output: str) -> Judgement:
        """That judge's judgement."""
        return await self.of[task.digest].judge(task, output)


@dataclass(frozen=True)
class PoolSteer:
    """One action, as the table of the task's domain has it."""

    of: Mapping[str, Steerer]

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        """That steer."""
        return await self.of[task.digest].steer(task, history, seed)


class PoolBenchmark:
    """The training tasks of several domains as one benchmark, scored on the primary objective alone."""

    id = POOL
    reference = "none: several benchmarks together"

    def __init__(self, domains: Sequence[Domain]) -> None:
        """Raises UsageError where a task is in two domains."""
        self.domains = tuple(domains)
        self.home = {task.digest: domain for domain in self.domains for task in domain.train}
        if len(self.home) < sum(len(domain.train) for domain in self.domains):
            raise UsageError("a pool of domains that share a training task cannot tell whose it is")

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """`correct`, the judge's: scales of the others differ by domain."""
        return self.domains[0].ready.benchmark.objectives[:1]

    @property
    def legal(self) -> tuple[str, ...]:
        """Actions that all domains have."""
        first, *others = (domain.legal for domain in self.domains)
        return tuple(action for action in first if all(action in legal for legal in others))

    @property
    def directives(self) -> tuple[Directive, ...]:
        """Of the table of the first domain, those that all have."""
        return tuple(one for one in self.domains[0].ready.benchmark.directives if one.action in self.legal)

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """All training tasks in the search split, in the order of their digests; none elsewhere."""
        tasks = [task for domain in self.domains for task in domain.train] if split == "search" else []
        return tuple(sorted(tasks, key=lambda task: task.digest))

    def families(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        """Task digest -> its domain."""
        return {task.digest: (self.home[task.digest].name,) for task in self.tasks(split)}

    def worker(self, name: str | None, lm: dspy.LM | None) -> Worker:
        """The workers of all domains."""
        params = {one.name: digest_of(one.ready.worker.fingerprint) for one in self.domains}
        of = {digest: domain.ready.worker for digest, domain in self.home.items()}
        return PoolWorker(of, WorkerFingerprint(name=POOL, params=params))

    def checkers(self) -> tuple[Checker, ...]:
        """One per objective that all domains measure."""
        tables = {one.name: {c.objective: c for c in one.ready.benchmark.checkers()} for one in self.domains}
        first, *others = tables.values()
        return tuple(
            PoolChecker(name, {digest: tables[domain.name][name] for digest, domain in self.home.items()})
            for name in first
            if all(name in table for table in others)
        )

    def judge(self) -> Judge:
        """The judges of all domains."""
        judges = {one.name: one.ready.benchmark.judge() for one in self.domains}
        return PoolJudge(
            {digest: judges[domain.name] for digest, domain in self.home.items()},
            revision=f"pool {digest_of({name: judge.revision for name, judge in judges.items()})[:12]}",
            deterministic=all(judge.deterministic for judge in judges.values()),
        )

    def steers(self) -> Mapping[str, Steerer]:
        """Each shared action by the domain's own table."""
        tables = {one.name: steer_table(one.ready.benchmark.directives, one.ready.benchmark) for one in self.domains}
        return {
            action: PoolSteer({digest: tables[domain.name][action] for digest, domain in self.home.items()})
            for action in self.legal
        }

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """Those of the benchmark that the attempts are of; none before the first."""
        return self._observer(history).features(history) if history else {}

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """As its benchmark has it; none before the first attempt."""
        return self._observer(history).untried(history) if history else {}

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """As its benchmark words it. Raises UsageError before the first attempt."""
        if not history:
            raise UsageError("a directive of a pool is worded by the benchmark of the attempts, and there are none")
        return self._observer(history).directive_text(action, history)

    def probes(self) -> Sequence[tuple[str, Task, str, bool]]:
        """None of its own: each domain's judge is asked its own."""
        return ()

    def _observer(self, history: Sequence[Seen]) -> Observer:
        return self.home[history[-1].attempt.task_digest].ready.benchmark

    def shared(self, space: Space) -> Space:
        """The space without features that one of the domains never shows."""
        ids = [domain.id for domain in self.domains]
        kept = {
            name: values
            for name, values in space.thresholds.items()
            if not any(is_foreign(name, benchmark=id, legal=self.legal) for id in ids)
        }
        return Space(kept, space.actions)
