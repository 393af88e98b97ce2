from __future__ import annotations

import pytest

from controllers.corpus.memory import MemoryCorpus
from controllers.loop import run_episode
from controllers.production import PRODUCTION, production_parts, production_spec
from controllers.release import Champion, loaded
from controllers.spec import Parts, episode_id
from controllers.steers import steer_table
from signatures.errors import UsageError
from signatures.records import Amounts, Attempt, Decision, Episode
from tests.worlds.planted import DIRECTIVES, PlantedBenchmark
from tests.worlds.signed import STEERS, files, telling

WORLD = PlantedBenchmark()
TASK = WORLD.tasks("production")[0]


def parts(champion: Champion, corpus: MemoryCorpus) -> Parts:
    return production_parts(
        champion,
        worker=WORLD.worker(None, None),
        checkers=WORLD.checkers(),
        steers=steer_table(DIRECTIVES, WORLD),
        observer=WORLD,
        corpus=corpus,
    )


def test_the_spec_is_the_releases() -> None:
    champion = loaded(files(telling("fan"), exploration=0.1))
    spec = production_spec(champion, TASK, seed=7, repeat=1)
    assert (spec.split, spec.condition, spec.candidate) == ("production", PRODUCTION, champion.release.candidate)
    assert (spec.granted, spec.turns_per_attempt) == (Amounts(attempts=3, turns=9), 3)
    assert (spec.floor, spec.steer_legal, spec.revision) == (0.1, STEERS, champion.release.digest)
    assert (spec.seed, spec.repeat) == (7, 1)


def test_a_task_of_another_benchmark_is_refused() -> None:
    with pytest.raises(UsageError, match="task of telecom: release planted was made for planted"):
        production_spec(loaded(files()), TASK.model_copy(update={"benchmark": "telecom"}), seed=0)


def test_another_release_makes_another_episode() -> None:
    """Even of the same controller: what it was granted and explores may differ."""
    one, other = loaded(files()), loaded(files(exploration=0.06))
    assert one.controller.digest == other.controller.digest
    corpus = MemoryCorpus()
    ids = {episode_id(production_spec(by, TASK, seed=0), parts(by, corpus)) for by in (one, other)}
    assert len(ids) == 2


async def test_an_episode_is_recorded_as_production_with_its_checks_and_propensities() -> None:
    champion, corpus = loaded(files(telling("fan"))), MemoryCorpus()
    for seed, task in enumerate(WORLD.tasks("production")[:8]):
        await run_episode(production_spec(champion, task, seed=seed), parts(champion, corpus))
    episodes = [one async for one in corpus.scan(Episode)]
    attempts = [one async for one in corpus.scan(Attempt)]
    decisions = [one async for one in corpus.scan(Decision)]
    assert {(one.split, one.condition, one.candidate) for one in episodes} == {
        ("production", "production", champion.release.candidate)
    }
    objectives = {objective.name for objective in WORLD.objectives}
    assert all({check.objective for check in one.checks} == objectives for one in attempts)
    assert {one.policy for one in decisions} == {"stop", "topology", "steer"}
    assert min(p for one in decisions for p in one.probabilities.values()) >= 0.05 - 1e-12
    # Exploration is real: other steers than the controller's are drawn as well.
    assert len({one.action for one in decisions if one.policy == "steer"}) > 1


async def test_without_exploration_only_the_controllers_own_actions_are_drawn() -> None:
    champion, corpus = loaded(files(telling("fan"), exploration=0.0)), MemoryCorpus()
    for seed, task in enumerate(WORLD.tasks("production")[:8]):
        await run_episode(production_spec(champion, task, seed=seed), parts(champion, corpus))
    assert {one.propensity async for one in corpus.scan(Decision)} == {1.0}
    assert {one.action async for one in corpus.scan(Decision) if one.policy == "steer"} == {"fan"}


def test_production_meets_new_machines_with_faults_that_the_search_saw() -> None:
    known = {task.digest for split in ("search", "dev", "holdout") for task in WORLD.tasks(split)}
    assert not known & {task.digest for task in WORLD.tasks("production")}
    assert set(WORLD.families("production").values()) == set(WORLD.families("search").values())
