"""Three levels, one loop: each is scored by an evaluator, and each is improved by the one above."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controllers.baselines import seed_candidate
from optimizers.evaluator import evaluator_in
from optimizers.levels.loops import Level, Loop, levels_of, values_of
from optimizers.levels.problems import Ground, SearchWorker, problems_of, search_setup
from optimizers.levels.settings import SearchSettings
from optimizers.setup import Grant
from signatures.records import Task
from tests.worlds.lab import STEERS, Lab

Made = tuple[tuple[Level, Level, Level], list[Task], list[Task], Lab]


@pytest.fixture
async def made(lab: Lab, tmp_path: Path) -> AsyncIterator[Made]:
    """The levels of the planted world, tasks of the lower two and problems of the third."""
    lab.grant = Grant(2, 4, STEERS)
    tasks = lab.benchmark.tasks("search")[:12]
    replay = await lab.replay(tasks)
    problems = {one.task.digest: one for one in problems_of(tasks, (3, 4, 5), count=2, seed=0)}
    ground = Ground(lab.setup(), replay, lab.space(replay), problems, 40, lab.folder / "searches")
    folder = tmp_path / "above"
    folder.mkdir()
    with evaluator_in(folder, search_setup(ground, ground.setup, revision="two")) as above:
        below = lab.evaluator(split="dev", journal="below.jsonl")
        dev = list(lab.benchmark.tasks("dev")[:30])
        yield levels_of(below, above), dev, [one.task for one in problems.values()], lab


async def test_they_are_chained_and_each_is_a_loop(made: Made) -> None:
    levels, _, _, _ = made
    names = []
    loop: Loop | None = levels[0]
    while loop is not None:
        names.append(loop.name)
        loop = loop.optimizer
    assert names == ["worker", "controller", "search"]


async def test_the_policy_of_each_level_is_what_plays_there(made: Made) -> None:
    (worker, controller, search), _, _, lab = made
    assert worker.policy(seed_candidate()).worker is lab.worker
    assert controller.policy(seed_candidate()).controller.candidate == seed_candidate()
    searcher = search.policy(SearchSettings(minibatch=3).candidate).worker
    assert isinstance(searcher, SearchWorker) and searcher.settings.minibatch == 3


async def test_traces_are_attempts_episodes_and_searches_in_a_corpus(made: Made) -> None:
    levels, dev, problems, _ = made
    worker, controller, search = levels
    for level, tasks in ((worker, dev), (controller, dev), (search, problems)):
        candidate = SearchSettings().candidate if level is search else seed_candidate()
        done = await level.trace(candidate, tasks, seed=1)
        assert [one.score.task_digest for one in done] == [task.digest for task in tasks]
        for one in done:
            assert one.rollout is not None
            attempts = [seen.attempt for seen in one.rollout.history]
            assert len(attempts) == 1 if level is not controller else 1 <= len(attempts) <= 2
            assert await level.corpus.get(type(attempts[0]), attempts[0].id) == attempts[0]
            value = level.judge(one)
            assert value is not None and 0 <= value <= 1


async def test_a_controller_adds_to_the_worker(made: Made) -> None:
    (worker, controller, _), dev, _, _ = made
    one = await values_of(worker, seed_candidate(), dev, seed=1)
    two = await values_of(controller, seed_candidate(), dev, seed=1)
    assert list(one) == [task.digest for task in dev] == list(two)
    assert sum(v or 0 for v in two.values()) > sum(v or 0 for v in one.values())
