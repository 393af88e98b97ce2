"""The search over settings: what it tries, in which order, and that it goes on from its journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizers.evaluator import evaluator_in
from optimizers.levels.problems import Ground, Kept, problems_of, search_setup
from optimizers.levels.settings import SearchSettings, neighbours, settings_of
from optimizers.levels.tuning import tune
from optimizers.search import SearchPlan
from optimizers.setup import Grant
from tests.worlds.lab import STEERS, Lab

CHOICES = {"engine": ("gepa_search", "null_search", "random_search"), "minibatch": (2, 12)}


@pytest.fixture
async def ground(lab: Lab) -> Ground:
    lab.grant = Grant(2, 4, STEERS)
    tasks = lab.benchmark.tasks("search")[:15]
    replay = await lab.replay(tasks)
    problems = {one.task.digest: one for one in problems_of(tasks, (4, 5, 6), count=3, seed=0)}
    return Ground(lab.setup(), replay, lab.space(replay), problems, 60, lab.folder / "searches")


async def tuned(ground: Ground, folder: Path, *, most: int = 20, seed: int = 0) -> tuple[SearchSettings, Kept]:
    kept = Kept()
    tasks = [one.task for one in ground.problems.values()]
    plan = SearchPlan(SearchSettings().candidate, (), tasks, seed, 1, most, 1)
    with evaluator_in(folder, search_setup(ground, ground.setup, revision="two")) as evaluator:
        return await tune(plan, evaluator, CHOICES, kept), kept


async def test_it_tries_each_change_of_the_default_first_and_ends_when_nothing_is_left(
    ground: Ground, tmp_path: Path
) -> None:
    best, kept = await tuned(ground, tmp_path)
    first = {one.settings.candidate.digest for one in neighbours(SearchSettings(), CHOICES)}
    told = [one.candidate.digest for one in kept.found_all]
    assert set(told[1 : 1 + len(first)]) == first
    assert len(told) == len(set(told)) <= 4, "two other engines, which read no minibatch, and another minibatch"
    assert all("finds better controllers" in one.hypothesis for one in kept.found_all[1:])
    accepted = [one for one in kept.found_all if one.decision in ("seed", "accepted")]
    assert best in [settings_of(one.candidate) for one in accepted]
    values = {one.candidate.digest: sum(s.values["correct"] or 0 for s in one.scores) for one in accepted}
    assert values[best.candidate.digest] == max(values.values())


async def test_it_ends_with_its_candidates(ground: Ground, tmp_path: Path) -> None:
    _, kept = await tuned(ground, tmp_path, most=2)
    assert len(kept.found_all) == 3


async def test_it_goes_on_from_its_journal_and_never_searches_a_problem_twice(ground: Ground, tmp_path: Path) -> None:
    best, kept = await tuned(ground, tmp_path, most=3)
    made = sorted(ground.folder.iterdir())
    assert len(made) == sum(len(one.scores) for one in kept.found_all)
    again, told = await tuned(ground, tmp_path, most=3)
    assert (again, told.found_all) == (best, kept.found_all)
    assert sorted(ground.folder.iterdir()) == made
