"""Admission: asked before each round for what is not recorded, told after it, and able to end an episode."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from controllers.admission import LimitReached
from controllers.baselines import seed_candidate
from controllers.loop import play, run_episode
from controllers.progress import Progress
from optimizers.testing_world import TASKS, Problem
from signatures.errors import BudgetExceeded
from signatures.records import Amounts


@dataclass
class Porter:
    """Admits so many attempts and notes what it is asked and told."""

    most: int
    asked: list[tuple[int, int]] = field(default_factory=list)
    "(attempts, attempts spent before)"
    told: list[int] = field(default_factory=list)

    async def admit(self, attempts: int, spent: Amounts) -> None:
        self.asked.append((attempts, spent.attempts or 0))
        if (spent.attempts or 0) + attempts > self.most:
            raise LimitReached("attempts: all spent")

    def landed(self, spent: Amounts) -> None:
        self.told.append(spent.attempts or 0)


async def test_every_round_is_asked_for_and_told(problem: Problem) -> None:
    setup = problem.setup
    for task in TASKS:
        spec = setup.spec(task, seed_candidate(), condition="test", split="search", seed=3)
        porter = Porter(9)
        rollout = await run_episode(spec, replace(setup.parts(seed_candidate()), admission=porter))
        made = len(rollout.history)
        assert porter.asked == [(1, before) for before in range(made)] and porter.told == list(range(1, made + 1))


async def test_what_is_refused_is_not_attempted_and_what_was_spent_is_known(problem: Problem) -> None:
    setup, refused = problem.setup, 0
    for task in TASKS:
        spec = setup.spec(task, seed_candidate(), condition="test", split="search", seed=3)
        parts = replace(setup.parts(seed_candidate()), admission=Porter(1))
        progress, before = await Progress.open(spec, parts), problem.worker.attempts
        try:
            await play(progress, parts)
        except LimitReached as limit:
            assert isinstance(limit, BudgetExceeded) and "all spent" in str(limit)
            refused += 1
        assert problem.worker.attempts - before == 1 == progress.budget.spent.attempts
    assert refused > 5


async def test_what_is_recorded_is_asked_for_like_anything_else(problem: Problem) -> None:
    """So that an episode that goes on ends where it would have ended."""
    setup = problem.setup
    spec = setup.spec(TASKS[0], seed_candidate(), condition="test", split="search", seed=3)
    first = await run_episode(spec, setup.parts(seed_candidate()))
    attempts, porter = problem.worker.attempts, Porter(9)
    again = await run_episode(spec, replace(setup.parts(seed_candidate()), admission=porter))
    assert again.history == first.history and problem.worker.attempts == attempts
    assert [n for n, _ in porter.asked] == [1] * len(first.history)
    with pytest.raises(LimitReached):
        await run_episode(spec, replace(setup.parts(seed_candidate()), admission=Porter(0)))


@pytest.fixture
def problem() -> Problem:
    return Problem()
