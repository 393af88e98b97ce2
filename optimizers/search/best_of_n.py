"""Best of n: independent random candidates, all drawn from the start. No candidate builds on another."""

from __future__ import annotations

import random

from pydantic import Field

from optimizers.archive import Archive
from optimizers.book import Behaviour, Book
from optimizers.drawing import drawn, require_rules
from optimizers.evaluator import Evaluator
from optimizers.ideas import Idea
from optimizers.paying import require_budget
from optimizers.proposers import Proposer
from optimizers.search import Engine, Kit, Listener, SearchPlan
from optimizers.space import Space
from signatures.records import Record


class Options(Record):
    """How many to draw."""

    n: int | None = Field(default=None, ge=1)
    "candidates beside the start; None: as many as the plan and the limits allow"


class BestOfN:
    """The engine. Rule-tier candidates only; it reads no record."""

    def __init__(self, space: Space, *, n: int | None = None, known: Behaviour | None = None) -> None:
        self.space = space
        self.n = n
        self.known = known

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Consider `n` draws, or fewer where the book is closed before."""
        require_budget(plan, evaluator)
        require_rules(plan.start, self.space, "best_of_n")
        rng = random.Random(plan.seed_for("best of n"))
        book = Book(plan, evaluator, listener, letter="b", known=self.known)
        await book.start()
        drawn_so_far = 0
        while book.open and (self.n is None or drawn_so_far < self.n):
            child, hypothesis = drawn(plan.start, self.space, rng)
            await book.consider(Idea(child, "random", hypothesis, (plan.start.digest,)))
            drawn_so_far += 1
        return book.close()


def engine(kit: Kit) -> Engine:
    """With the kit's space."""
    return BestOfN(kit.space, n=kit.settings(Options, "best_of_n").n, known=kit.behaviour())
