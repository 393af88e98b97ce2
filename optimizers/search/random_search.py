"""Random search: random edits of the start or of the front, in the same space and on the same budget."""

from __future__ import annotations

import random

from optimizers.archive import Archive
from optimizers.book import Behaviour, Book
from optimizers.drawing import drawn, editable, require_rules
from optimizers.evaluator import Evaluator
from optimizers.ideas import Idea
from optimizers.paying import require_budget
from optimizers.proposers import Proposer
from optimizers.search import Engine, Kit, Listener, SearchPlan
from optimizers.space import Space
from signatures.records import Record


class Options(Record):
    """It has none."""


class RandomSearch:
    """The floor that a proposer has to beat: it reads no record. Rule-tier candidates only."""

    def __init__(self, space: Space, *, known: Behaviour | None = None) -> None:
        self.space = space
        self.known = known

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Consider random children of the start or of the front, as many as the plan and the limits allow."""
        require_budget(plan, evaluator)
        require_rules(plan.start, self.space, "random_search")
        rng = random.Random(plan.seed_for("random search"))
        book = Book(plan, evaluator, listener, letter="r", known=self.known)
        await book.start()
        while book.open:
            members = [book.known[entry.candidate] for entry in book.archive.front() if entry.candidate in book.known]
            front = [one for one in members if editable(one, self.space)]
            parent = rng.choice(front) if front and rng.random() < 0.5 else plan.start
            child, hypothesis = drawn(parent, self.space, rng)
            await book.consider(Idea(child, "random", hypothesis, (parent.digest,)))
        return book.close()


def engine(kit: Kit) -> Engine:
    """With the kit's space."""
    kit.settings(Options, "random_search")
    return RandomSearch(kit.space, known=kit.behaviour())
