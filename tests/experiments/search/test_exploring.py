"""Exploring: the reward model chooses among what the record does not support, once, and only on drawn episodes."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from controllers.baselines import controller_components, seed_candidate
from experiments.collect_run import run as collect
from experiments.search.exploring import CHOSEN, promising
from optimizers.records import TaskScore
from optimizers.reward.prediction_log import PredictionLog
from optimizers.search import Found
from signatures.errors import StoreError
from signatures.records import Amounts, Candidate
from tests.worlds.jobs import Job, job_at, said
from tests.worlds.small_collect import small_collect

ACTIONS = ("none", "fan", "pump", "valve", "core")


def aside(name: str, candidate: Candidate) -> Found:
    scores = TaskScore(
        candidate=candidate.digest,
        condition="candidate",
        task_digest="t",
        seed=1,
        split="search",
        values={"correct": None},
        source="replay",
        unsupported=1.0,
        set_aside=True,
        used=Amounts(),
    )
    return Found(name, candidate, (), 1, "random", "", "unsupported", (scores,))


FRESH = aside("r01-c1", Candidate(components=controller_components(refine=False, steer={"none": 1.0})))
ANY = aside("r01-c2", Candidate(components=controller_components(refine=True, steer=dict.fromkeys(ACTIONS, 1.0))))
SEED = aside("r01-c3", seed_candidate())
ALL = (FRESH, ANY, SEED)


def chosen(job: Job, *found: Found) -> list[str]:
    return [one.name for one in asyncio.run(promising(job, found))]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run root whose corpus holds stochastic episodes."""
    root = tmp_path_factory.mktemp("drawn")
    collect(small_collect(root, tasks=8, episodes_per_task=24))
    return root


def test_nothing_to_explore_leaves_nothing(tmp_path: Path) -> None:
    with job_at(tmp_path) as job:
        assert chosen(job) == []
        assert not (job.folder / CHOSEN).exists()
    with job_at(tmp_path, explore=0) as job:
        assert chosen(job, *ALL) == []


def test_without_drawn_episodes_it_says_what_to_record(tmp_path: Path) -> None:
    with job_at(tmp_path) as job:
        assert chosen(job, *ALL) == []
        assert "3 candidates without support: not explored" in said(job)
        assert "experiments.collect_run" in said(job)


def test_at_most_as_many_as_asked_for_and_their_predictions_are_kept(drawn: Path) -> None:
    with job_at(drawn, explore=2) as job:
        names = chosen(job, *ALL)
        assert len(names) == len(set(names)) == 2
        assert "the reward model would try " + ", ".join(names) in said(job)
        assert "reward model of correct, on " in said(job)
        with closing(PredictionLog(job.folder / "predictions.jsonl")) as predictions:
            assert len(predictions) == 3


def test_a_choice_once_made_is_kept_when_the_run_goes_on(drawn: Path) -> None:
    with job_at(drawn, explore=1) as job:
        first = chosen(job, *ALL)
        before = said(job)
        assert chosen(job, *reversed(ALL)) == first
        assert said(job) == before  # the model was not asked again


def test_a_damaged_choice_is_not_taken_for_none(drawn: Path) -> None:
    with job_at(drawn) as job:
        (job.folder / CHOSEN).write_text("{")
        with pytest.raises(StoreError, match="cannot be read"):
            chosen(job, *ALL)
