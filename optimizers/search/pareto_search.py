"""Pareto search: the inner loop of reflective evolution without gepa's bookkeeping, for replay and rules.

A parent of the front, a minibatch of train tasks, what is recorded of them, one edit by the proposer, a race: what
`gepa_search` does, but nothing in an iteration grows with the number of candidates or keeps a number per task of its
own. Where the records speak for no new edit, a random one is tried.
Source: Agrawal et al. 2025, "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning".
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from controllers.baselines import seed_candidate
from controllers.program import NAMES
from optimizers.archive import Archive
from optimizers.book import Behaviour, Book
from optimizers.drawing import drawn, editable
from optimizers.evaluator import Evaluator, Request
from optimizers.evidence.reflection import Reflection, reflections
from optimizers.ideas import Idea, idea_of
from optimizers.paying import require_budget
from optimizers.proposers import Proposer
from optimizers.racing import DEFAULT, Race
from optimizers.search import Engine, Kit, Listener, SearchPlan
from optimizers.space import Space
from signatures.records import Candidate, Record, Task

MOST_DRAWS: Final = 20
"""Random edits that are drawn for one that was not considered before."""
MOST_EMPTY: Final = 50
"""Iterations in a row without an idea: then there is nothing to find."""


class Options(Record):
    """The engine's own settings."""

    random: bool = True
    "where the records speak for no new edit, a random one; False: the iteration is empty"


class ParetoSearch:
    """Edits rules: candidates of the front that are no decision lists are no parents."""

    def __init__(
        self, space: Space, options: Options | None = None, *, known: Behaviour | None = None, race: Race = DEFAULT
    ) -> None:
        self.space = space
        self.options = options or Options()
        self.known = known
        self.race = race

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Consider one child of the front after the other. Raises UsageError where a limit does not pay for one."""
        require_budget(plan, evaluator)
        book = Book(plan, evaluator, listener, letter="p", known=self.known)
        await book.start()
        loop = Loop(self, book, proposer)
        if not loop.edits(plan.start.digest, plan.start) and book.open:
            await book.consider(
                Idea(seed_candidate(), "start", "Rules do better than the start.", (plan.start.digest,))
            )
        while loop.goes_on:
            await loop.iteration()
        return book.close()


class Loop:
    """The state of one search beside its book."""

    def __init__(self, engine: ParetoSearch, book: Book, proposer: Proposer) -> None:
        self._engine = engine
        self._book = book
        self._proposer = proposer
        self._rng = random.Random(book.plan.seed_for("pareto search"))
        self._batches = Batches(book.plan.train, book.plan.minibatch, self._rng)
        self._first = book.plan.seed_for("pareto proposals")
        self._turn = self._proposals = self._empty = 0
        self._edits: dict[str, bool] = {}

    @property
    def goes_on(self) -> bool:
        """Whether there may be anything left to try, and it can be paid for with a minibatch."""
        return self._empty < MOST_EMPTY and self._book.open_for(self._book.plan.minibatch)

    def edits(self, digest: str, candidate: Candidate) -> bool:
        """Whether the candidate of that digest is made of rules."""
        if digest not in self._edits:
            self._edits[digest] = editable(candidate, self._engine.space)
        return self._edits[digest]

    async def iteration(self) -> None:
        """One parent, one minibatch, one idea, if there is any."""
        parent = self._rng.choice(self._parents())
        idea = await self._reflected(parent, self._batches.next())
        idea = idea or (self._random(parent) if self._engine.options.random else None)
        self._empty = 0 if idea is not None else self._empty + 1
        if idea is not None:
            await self._book.consider(idea, race=self._engine.race)

    def _parents(self) -> list[Candidate]:
        """The rules of the front; where it has none, those accepted; at last the seed that searches start from."""
        known = self._book.known
        front = {
            entry.candidate: known[entry.candidate] for entry in self._book.archive.front() if entry.candidate in known
        }
        for pool in (front, known):
            if found := [candidate for digest, candidate in pool.items() if self.edits(digest, candidate)]:
                return found
        return [seed_candidate()]

    def _known(self, parent: Candidate) -> tuple[str, ...]:
        """The parent's digest, where it was accepted: a seed that was never considered is nobody's rival."""
        return (parent.digest,) if parent.digest in self._book.known else ()

    async def _reflected(self, parent: Candidate, batch: Sequence[Task]) -> Idea | None:
        """The proposer's edit of one component: they are asked in turn until one of them has a new one."""
        book = self._book
        records = await self._records(parent, batch)
        self._turn += 1
        for name in (*NAMES[self._turn % len(NAMES) :], *NAMES[: self._turn % len(NAMES)]):
            self._proposals += 1
            number = self._first + self._proposals
            rows = [record for record in records if record.policy == name]
            proposal = await book.evaluator.propose(self._proposer, parent, name, rows, number=number)
            if proposal is None or proposal.text == parent.components[name]:
                continue
            idea = idea_of(proposal, parent, name, parents=self._known(parent))
            if not await book.is_duplicate(idea.candidate):
                return idea
        return None

    async def _records(self, parent: Candidate, batch: Sequence[Task]) -> list[Reflection]:
        """The moves that are recorded of the batch; a task of which nothing is recorded is attempted."""
        evaluator, setup = self._book.evaluator, self._book.evaluator.setup
        records = {task.digest: evaluator.recorded_moves(task.digest) for task in batch}
        todo = [task for task in batch if not records[task.digest]]
        if todo:
            request = Request(parent, todo, seed=self._book.plan.seed_on("train"), keep_rollouts=True)
            for one in await evaluator.evaluate(request):
                if one.rollout is not None:
                    shown = reflections(one.rollout.history, setup.observer, setup.grant, with_text=True)
                    records[one.score.task_digest] = shown
        return [record for found in records.values() for record in found]

    def _random(self, parent: Candidate) -> Idea | None:
        """A random child that was not considered before, if one is soon drawn."""
        for _ in range(MOST_DRAWS):
            child, said = drawn(parent, self._engine.space, self._rng)
            if not self._book.seen(child):
                return Idea(child, "random", said, self._known(parent))
        return None


class Batches:
    """Minibatches of the train tasks: all of them once, in random order, then again in another."""

    def __init__(self, tasks: Sequence[Task], size: int, rng: random.Random) -> None:
        self._tasks = tuple(tasks)
        self._size = min(size, len(tasks))
        self._rng = rng
        self._left: list[Task] = []

    def next(self) -> list[Task]:
        """The next batch; what does not fill one is left out."""
        if len(self._left) < self._size:
            self._left = self._rng.sample(self._tasks, len(self._tasks))
        batch, self._left = self._left[: self._size], self._left[self._size :]
        return batch


def engine(kit: Kit) -> Engine:
    """With the kit's space."""
    return ParetoSearch(kit.space, kit.settings(Options, "pareto_search"), known=kit.behaviour())
