"""Random search: random edits of the start or of the front, in the same space and on the same budget."""

from __future__ import annotations

import itertools
import random

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

MOST_EDITS = 3
"""Edits between a parent and its random child."""


class RandomSearch:
    """The floor that a proposer has to beat: it reads no record. Rule-tier candidates only."""

    def __init__(self, space: Space) -> None:
        self.space = space

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Evaluate random candidates on the val tasks until the budget is used up, however many that makes.

        A generation is an equal share of the granted attempts; without a limit on attempts it is as many candidates
        as an engine's iterations, and the plan's generations are the end.
        """
        require_budget(plan, evaluator)
        rng = random.Random(seed_of("random search", plan.seed))
        archive = Archive(evaluator.setup.objectives)
        known: dict[str, Candidate] = {}
        generation = told = 0
        for number in itertools.count():
            generation = _generation(plan, evaluator, number)
            if number and (generation > plan.generations or self._short(plan, evaluator)):
                break
            if generation > told + 1:
                listener.generation(generation - 1, archive)
                told = generation - 1
            parent, child = self._next(plan, archive, known, rng)
            seed = seed_of("search", plan.seed, SEEDS["val"])
            scored = await evaluator.evaluate(Request(child, plan.val, seed=seed))
            scores = tuple(one.score for one in scored)
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
                    decision="seed" if parent is None else "accepted",
                    scores=scores,
                )
            )
            if number == 0:
                listener.generation(0, archive)
        listener.generation(told + 1, archive)
        return archive

    def _short(self, plan: SearchPlan, evaluator: Evaluator) -> bool:
        """Whether another evaluation may not be payable."""
        left = evaluator.budget.left("attempts")
        return evaluator.budget.exhausted() or (left is not None and left < evaluator.cost_of(len(plan.val)))

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


def _generation(plan: SearchPlan, evaluator: Evaluator, number: int) -> int:
    """The generation of candidate `number`, the start being generation 0."""
    granted, spent = evaluator.budget.granted.attempts, evaluator.budget.spent.attempts or 0
    if number == 0:
        return 0
    if not granted:
        return -(-number // plan.iterations)
    return min(plan.generations, 1 + plan.generations * spent // granted)
