"""Tuning: the search over settings of searches, by the same book and races as every other search."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from optimizers.book import Book
from optimizers.evaluator import Evaluator
from optimizers.ideas import Idea
from optimizers.levels.settings import SearchSettings, neighbours, settings_of
from optimizers.racing import Halving, Race
from optimizers.search import Listener, SearchPlan
from signatures.digest import seed_of

ONCE: Final = Halving(repeats=1)
"""A problem names the seed of its search: done again it would be the same search."""
EMPTY: Final = 30
"""Draws in a row that were considered before: then there is nothing left."""


async def tune(
    plan: SearchPlan,
    evaluator: Evaluator,
    choices: Mapping[str, Sequence[JsonValue]],
    listener: Listener,
    *,
    race: Race = ONCE,
) -> SearchSettings:
    """The best settings that are found on the problems, which are the plan's val tasks; often those it starts from.

    First every change of one setting of the start, in an order drawn by the seed, then of settings of the front. It
    ends with the plan's candidates, a limit, or when nothing is left. A function of the plan's seed and the answers.
    """
    book = Book(plan, evaluator, listener, letter="m")
    await book.start()
    rng = random.Random(seed_of("tuning", plan.seed))
    waiting = neighbours(settings_of(plan.start), choices)
    rng.shuffle(waiting)
    parent, empty = plan.start.digest, 0
    while book.open and empty < EMPTY:
        if not waiting:
            parent = rng.choice([entry.candidate for entry in book.archive.front()])
            waiting = rng.sample(pool, 1) if (pool := neighbours(settings_of(book.known[parent]), choices)) else []
            empty += 1
        while waiting and book.open:
            changed = waiting.pop(0)
            if not book.seen(changed.settings.candidate):
                empty = 0
                idea = Idea(changed.settings.candidate, "neighbour", changed.hypothesis, (parent,))
                await book.consider(idea, race=race)
    return settings_of(book.known[book.close().front()[0].candidate])
