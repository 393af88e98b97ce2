"""Recorded attempts made by hand: a tree with known checks and verdicts, and a worker that draws from it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from controllers.history import Seen
from optimizers.replay.tree import Tree
from signatures.digest import digest_text
from signatures.records import (
    Attempt,
    AttemptContext,
    AttemptResult,
    CheckerResult,
    Cost,
    Failure,
    Objective,
    Steer,
    Task,
    TraceEvent,
    WorkerFingerprint,
)

TASK = Task(digest="task", benchmark="hand", prompt="do it")
OBJECTIVES = (
    Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge"),
    Objective(name="fast", unit="turns", worst=20.0, best=0.0, over="episode"),
    Objective(name="cheap", unit="price", worst=20.0, best=0.0, over="lineage"),
)
WORKER = WorkerFingerprint(name="recorded")


@dataclass(frozen=True)
class Node:
    """One recorded attempt: what the checkers and the judge say of it, and where it hangs."""

    id: str
    correct: float = 0.0
    judged: float | None = None
    "None: as the checker"
    parent: str | None = None
    action: str = "none"
    turns: int = 1
    infra: bool = False
    trace: tuple[TraceEvent, ...] = ()


def seen_of(node: Node, index: int) -> Seen:
    """The node as an attempt at place `index`. The checker passes at 1."""
    failure = Failure(error="WorkerError", message="gone", where="worker") if node.infra else None
    attempt = Attempt(
        id=node.id,
        episode_id="collected",
        round=0,
        index=index,
        parent_id=node.parent,
        start_digest=None if node.parent is None else digest_text(node.parent),
        task_digest=TASK.digest,
        benchmark=TASK.benchmark,
        worker=WORKER,
        steer=Steer(action=node.action),
        state_digest=digest_text(node.id),
        checks=() if node.infra else checks_of(node),
        outcome="infra_error" if node.infra else "ok",
        failure=failure,
        cost=Cost(turns=node.turns),
    )
    return Seen(attempt, node.trace)


def checks_of(node: Node) -> tuple[CheckerResult, ...]:
    """`correct`, and `fast` and `cheap`, which both count turns."""
    correct = CheckerResult(objective="correct", value=node.correct, unit="share", passed=node.correct == 1)
    meters = (
        CheckerResult(objective=name, value=float(node.turns), unit=unit)
        for name, unit in (("fast", "turns"), ("cheap", "price"))
    )
    return (correct, *meters)


def tree_of(nodes: Sequence[Node]) -> Tree:
    """The nodes as a recorded and judged tree, in this order."""
    verdicts = {node.id: node.correct if node.judged is None else node.judged for node in nodes}
    return Tree([seen_of(node, index) for index, node in enumerate(nodes)], verdicts)


@dataclass
class Drawing:
    """A worker that plays one episode on a recorded tree: each attempt is a node not drawn before."""

    nodes: Sequence[Node]
    drawn: set[str] = field(default_factory=set)
    fingerprint: WorkerFingerprint = WORKER

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """A child of `start` under the steer's action, or a root."""
        action = context.steer.action if start is not None else "none"
        free = [n for n in self.nodes if (n.parent, n.action) == (start, action) and n.id not in self.drawn]
        node = random.Random(context.seed).choice(free)
        self.drawn.add(node.id)
        return AttemptResult(output=node.id, state=node.id, trace=node.trace, cost=Cost(turns=node.turns))


@dataclass(frozen=True)
class Reading:
    """A checker that reads its result off the node."""

    nodes: Mapping[str, Node]
    objective: str

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """The node's own."""
        return next(c for c in checks_of(self.nodes[result.output]) if c.objective == self.objective)
