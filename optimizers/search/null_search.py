"""No search: the start is evaluated and returned. What every other engine is compared with."""

from __future__ import annotations

from optimizers.archive import Archive
from optimizers.book import Book
from optimizers.evaluator import Evaluator
from optimizers.proposers import Proposer
from optimizers.search import Engine, Kit, Listener, SearchPlan
from signatures.records import Record


class Options(Record):
    """It has none."""


class NullSearch:
    """The null engine."""

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """The archive with the start alone."""
        book = Book(plan, evaluator, listener, letter="n")
        await book.start()
        return book.close()


def engine(kit: Kit) -> Engine:
    """Of a kit without options."""
    kit.settings(Options, "null_search")
    return NullSearch()
