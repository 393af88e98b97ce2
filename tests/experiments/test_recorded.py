"""Evidence from a corpus file: what a plan grew becomes trees, what was drawn with a floor becomes arrays."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from controllers.baselines import seed_candidate
from controllers.corpus import SqliteCorpus
from controllers.program import controller_of
from controllers.programs import builtin
from experiments.collect.config import CollectConfig
from experiments.collect_run import run as collect
from experiments.places import ledger_beside
from experiments.recorded import answers, evidence_of, outcomes_of
from experiments.replay_run import ReplayConfig
from optimizers.replay import Evidence
from optimizers.replay.estimates import Estimate, Refusal
from optimizers.setup import Grant
from signatures.records import Attempt, Episode
from tests.worlds.planted import PlantedBenchmark

TASKS, EPISODES = 6, 8


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus of both plans."""
    root = tmp_path_factory.mktemp("recorded")
    module = "tests.worlds.planted:PlantedBenchmark"
    collect(CollectConfig(benchmark=module, root=str(root), tasks=TASKS, episodes_per_task=EPISODES))
    return root / "corpus-planted.db"


async def evidence(path: Path) -> tuple[Evidence, dict[str, float | None], list[Attempt]]:
    benchmark = PlantedBenchmark()
    with closing(SqliteCorpus.open_readonly(path)) as opened:
        episodes = [one async for one in opened.scan(Episode)]
        attempts = [one async for one in opened.scan(Attempt)]
        numbers = await outcomes_of(opened, path, benchmark, episodes)
        grant = Grant(3, 12, ("none", *(one.action for one in benchmark.directives)))
        return await evidence_of(opened, benchmark, episodes, numbers, grant), dict(numbers), attempts


def test_trees_and_episodes_are_told_apart(corpus: Path) -> None:
    found, numbers, _ = asyncio.run(evidence(corpus))
    assert found.log is not None and found.trees is not None
    assert found.log.n == TASKS * EPISODES
    assert len(found.tasks) == len(found.trees.trees) == TASKS
    judged = {seen.attempt.id for tree in found.trees.trees.values() for seen in tree.history}
    assert judged <= set(numbers)


def test_without_a_ledger_correct_is_the_checkers(corpus: Path, tmp_path: Path) -> None:
    alone = tmp_path / corpus.name
    alone.write_bytes(corpus.read_bytes())
    assert not ledger_beside(alone).exists()
    found, numbers, attempts = asyncio.run(evidence(alone))
    checked = {one.id: check.value for one in attempts if (check := one.check("correct")) is not None}
    assert numbers == checked
    assert found.log is not None and found.log.n == TASKS * EPISODES


def test_a_program_is_valued_on_trees_and_refused_on_logs(corpus: Path, tmp_path: Path) -> None:
    files = []
    for name, candidate in (("rules", seed_candidate()), ("program", builtin.refine())):
        file = tmp_path / f"{name}.json"
        file.write_text(controller_of(candidate).dumps())
        files.append(str(file))
    module = "tests.worlds.planted:PlantedBenchmark"
    config = ReplayConfig(corpus=str(corpus), candidates=tuple(files), benchmark=module, turns=12)
    found = {(one.candidate, one.estimator): one for one in asyncio.run(answers(config))}
    rules, program = found["rules", "tree"], found["program", "tree"]
    assert isinstance(rules, Estimate) and isinstance(program, Estimate)
    assert rules.values == program.values
    refused = found["program", "snips"]
    assert isinstance(refused, Refusal) and "replay it on recorded trees" in refused.reason
    assert {estimator for name, estimator in found if name == "program"} == {e for name, e in found if name == "rules"}
