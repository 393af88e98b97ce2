"""Random search: random edits of the start or of the front, in the same space and on the same budget."""

from __future__ import annotations

import itertools
import random
from typing import Final

from optimizers.archive import Archive
from optimizers.evaluator import Evaluator, Request
from optimizers.gepa_adapter import SEEDS
from optimizers.proposers import Proposer
from optimizers.search import Found, Listener, SearchPlan
from optimizers.search.gepa_search import require_budget
from optimizers.space import Space, random_edit
from optimizers.vectors import entry_of
from signatures.digest import seed_of
from signatures.records import Candidate

MOST_EDITS: Final = 3
"""Edits between a parent and its random child."""
MOST_ASIDE: Final = 100
"""Candidates in a row that the record does not support and that cannot be attempted: then there is nothing to find."""


class RandomSearch:
    """The floor that a proposer has to beat: it reads no record. Rule-tier candidates only."""

    def __init__(self, space: Space) -> None:
        self.space = space

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Evaluate random candidates on the val tasks until the budget is used up, however many that makes.

        The meter is attempts that the evaluations stand for, replayed ones too: up to the plan's `compute`, else to
        what the budget grants. A generation is an equal share of them; without either it is as many candidates as an
        engine's iterations, and the plan's generations are the end.
        """
        require_budget(plan, evaluator)
        rng = random.Random(seed_of("random search", plan.seed))
        archive = Archive(evaluator.setup.objectives)
        known: dict[str, Candidate] = {}
        generation = told = aside = 0
        for number in itertools.count():
            generation = _generation(plan, evaluator, number)
            if number and (generation > plan.generations or _spent(plan, evaluator) or aside == MOST_ASIDE):
                break
            if generation > told + 1:
                listener.generation(generation - 1, archive)
                told = generation - 1
            parent, child = self._next(plan, archive, known, rng)
            seed = seed_of("search", plan.seed, SEEDS["val"])
            scored = await evaluator.evaluate(Request(child, plan.val, seed=seed))
            scores = tuple(one.score for one in scored)
            unsupported = number > 0 and any(score.set_aside for score in scores)
            aside = aside + 1 if unsupported else 0
            if not unsupported:
                known[child.digest] = child
                archive.add(entry_of(scores, evaluator.setup.objectives, generation=generation))
            listener.found(
                Found(
                    name=f"r{generation:02d}-c{number}",
                    candidate=child,
                    parents=() if parent is None else (parent.digest,),
                    generation=generation,
                    proposer="random",
                    evidence="",
                    decision="seed" if parent is None else "unsupported" if unsupported else "accepted",
                    scores=scores,
                )
            )
            if number == 0:
                listener.generation(0, archive)
        listener.generation(told + 1, archive)
        return archive

    def _next(
        self, plan: SearchPlan, archive: Archive, known: dict[str, Candidate], rng: random.Random
    ) -> tuple[Candidate | None, Candidate]:
        if not known:
            return None, plan.start
        parent = known[rng.choice(archive.front()).candidate] if rng.random() < 0.5 else plan.start
        child = parent
        for _ in range(rng.randint(1, MOST_EDITS)):
            child = random_edit(child, self.space, rng)
        return parent, child


def _spent(plan: SearchPlan, evaluator: Evaluator) -> bool:
    """Whether another evaluation may not be payable, or would go beyond the compute that was given."""
    return not evaluator.affords(len(plan.val)) or (
        plan.compute is not None and evaluator.tally.attempts >= plan.compute
    )


def _generation(plan: SearchPlan, evaluator: Evaluator, number: int) -> int:
    """The generation of candidate `number`, the start being generation 0."""
    granted = plan.compute or (None if evaluator.replays else evaluator.budget.granted.attempts)
    if number == 0:
        return 0
    if not granted:
        return -(-number // plan.iterations)
    return min(plan.generations, 1 + plan.generations * evaluator.tally.attempts // granted)
