"""Best of n: independent draws from the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizers.search.best_of_n import BestOfN
from optimizers.testing_world import SPACE, Editing, Problem, Told


@pytest.mark.parametrize("n", [1, 5])
async def test_it_draws_n_and_all_from_the_start(tmp_path: Path, n: int) -> None:
    problem, told = Problem(), Told()
    with problem.evaluator(tmp_path) as evaluator:
        await BestOfN(SPACE, n=n).search(problem.plan(generations=9), evaluator, Editing(), told)
    seed, *others = told.found_all
    assert seed.decision == "seed" and len(others) == n
    assert all(found.parents == (seed.candidate.digest,) and found.proposer == "random" for found in others)
    assert all(found.name.startswith(("b01-c", "b02-c")) for found in others)


async def test_the_first_n_of_more_are_the_same(tmp_path: Path) -> None:
    """No draw looks at what was found before."""
    drawn = []
    for n in (3, 8):
        problem, told = Problem(), Told()
        with problem.evaluator(tmp_path / str(n)) as evaluator:
            await BestOfN(SPACE, n=n).search(problem.plan(generations=9), evaluator, Editing(), told)
        drawn.append([found.candidate.digest for found in told.found_all])
    assert drawn[1][:4] == drawn[0]


async def test_without_n_the_plan_ends_it(tmp_path: Path) -> None:
    problem, told = Problem(), Told()
    with problem.evaluator(tmp_path) as evaluator:
        await BestOfN(SPACE).search(problem.plan(), evaluator, Editing(), told)
    assert sum(found.decision != "duplicate" for found in told.found_all) == 1 + 8
