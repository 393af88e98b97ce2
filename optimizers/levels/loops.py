"""Levels: worker, controller and search as three instances of one loop, each the policy that improves the one below.

level       policy                    trace                      judge                          optimizer
worker      the black box             one attempt                of the benchmark               a controller
controller  stop, topology, steer     an episode of attempts     of the benchmark               a search
search      engine and its settings   a search of candidates     value on tasks it did not see  the search over settings

All three are scored by an `Evaluator` of their own: same journal, same `TaskScore`, same archive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from controllers import Corpus
from controllers.spec import Parts
from optimizers.evaluator import Evaluator, Request, Scored
from optimizers.setup import Grant
from signatures.records import Candidate, Task


class Loop(Protocol):
    """One level: what acts, what acting leaves, who judges it, where it is kept, and what improves it."""

    @property
    def name(self) -> str:
        """`worker`, `controller` or `search`."""

    @property
    def corpus(self) -> Corpus:
        """Where its traces are kept."""

    @property
    def optimizer(self) -> Loop | None:
        """The level whose policies choose this level's; None at the top."""

    def policy(self, candidate: Candidate) -> Parts:
        """What acts for a candidate of this level. Raises UsageError."""

    async def trace(self, candidate: Candidate, tasks: Sequence[Task], *, seed: int) -> Sequence[Scored]:
        """Each task done once, durably, with its trace."""

    def judge(self, done: Scored) -> float | None:
        """The judge's number of what was done, on [0, 1]; None where it could not say."""


@dataclass(frozen=True)
class Level:
    """A loop over one evaluator."""

    name: str
    evaluator: Evaluator
    grant: Grant | None = None
    "another cut than the setup's"
    optimizer: Loop | None = None

    @property
    def corpus(self) -> Corpus:
        """The setup's."""
        return self.evaluator.setup.corpus

    def policy(self, candidate: Candidate) -> Parts:
        """The parts that play its episodes."""
        return self.evaluator.setup.parts(candidate)

    async def trace(self, candidate: Candidate, tasks: Sequence[Task], *, seed: int) -> Sequence[Scored]:
        """One evaluation, with its rollouts. Raises what the evaluator raises."""
        asked = Request(
            candidate, tasks, seed=seed, condition=f"level {self.name}", grant=self.grant, keep_rollouts=True
        )
        return await self.evaluator.evaluate(asked)

    def judge(self, done: Scored) -> float | None:
        """The first objective's value, which is the judge's."""
        return done.score.values.get(self.evaluator.setup.objectives[0].name)


def levels_of(below: Evaluator, above: Evaluator) -> tuple[Level, Level, Level]:
    """Worker, controller and search, chained: `below` plays episodes, `above` whole searches.

    The worker's level is the same evaluator with one attempt an episode and nothing said to the worker.
    """
    search = Level("search", above)
    controller = Level("controller", below, optimizer=search)
    one = replace(below.setup.grant, attempts=1, steer_legal=("none",))
    return Level("worker", below, one, controller), controller, search


async def values_of(level: Loop, candidate: Candidate, tasks: Sequence[Task], *, seed: int) -> dict[str, float | None]:
    """Task digest -> what the judge of that level says of the candidate's policy."""
    done = await level.trace(candidate, tasks, seed=seed)
    return {task.digest: level.judge(one) for task, one in zip(tasks, done, strict=True)}
