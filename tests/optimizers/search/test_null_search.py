from __future__ import annotations

from pathlib import Path

from optimizers.search.null_search import NullSearch
from optimizers.testing_world import Editing, Problem, Told


async def test_it_returns_the_start(tmp_path: Path) -> None:
    problem, told = Problem(), Told()
    plan = problem.plan()
    with problem.evaluator(tmp_path) as evaluator:
        archive = await NullSearch().search(plan, evaluator, Editing(), told)
        assert archive is evaluator.archive
    assert [entry.candidate for entry in archive.front()] == [plan.start.digest]
    assert [found.decision for found in told.found_all] == ["seed"] and told.generations == [0]
