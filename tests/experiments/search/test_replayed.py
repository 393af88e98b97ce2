"""A run on a recording: nothing is attempted, every value is replayed, and what was not recorded is said in words."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from controllers.baselines import recorded_arms, seed_candidate
from controllers.scripted_engine import scripted_lm
from controllers.workers.recorded import RecordedWorker
from experiments.places import claim
from experiments.search.replayed import aside_evaluator, score_arm_recorded
from experiments.search.search_job import run_search
from experiments.wiring import Ready, definition_of_done, ready, require_replayable, split_tasks
from optimizers.evaluator import Request
from signatures.errors import UsageError
from tests.worlds.jobs import job_at
from tests.worlds.planted import PlantedBenchmark
from tests.worlds.small import small

SIZES: dict[str, JsonValue] = {"train": 4, "val": 4, "dev": 6, "recorded_val": None}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the trees of the first fourteen search tasks are recorded."""
    folder = tmp_path_factory.mktemp("recorded")
    with job_at(folder, **{**SIZES, "train": 10}):
        pass
    return folder


def on_recording(root: Path, **changed: JsonValue) -> Ready:
    """The same world, of whose worker only the recording is left."""
    given = ready(small(root, **{**SIZES, **changed}))
    splits = split_tasks(given.benchmark, given.config, recorded=True)
    worker, manifest = RecordedWorker(given.worker.fingerprint), definition_of_done(given.benchmark, splits)
    return replace(given, worker=worker, splits=splits, manifest=manifest)


def test_a_search_on_a_recording_ends_without_an_attempt(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = on_recording(root)
    result: dict[str, Any] = asyncio.run(run_search(given, claim(given.config, given.manifest)))
    assert result["attempts"]["fill"] == result["attempts"]["confirm"] == result["attempts"]["recording"]["new"] == 0
    assert result["spent"]["gepa"]["attempts"] == 0 < result["spent"]["gepa"]["compute"]
    means = {row["name"]: row["values"]["correct"]["mean"] for row in result["rows"]}
    assert {"random@2", "continue@2", "placebo@2", "refine@2/fan", "random search"} < set(means)
    assert None not in means.values()
    assert "On dev (6 search tasks kept aside, replayed)" in result["sentence"]
    told = capsys.readouterr().out
    assert "nothing is attempted. 4 tasks to learn from, 4 to compare candidates on, 6 kept aside" in told
    assert "not shown live until a gate has run" in told


def test_the_re_estimate_of_a_model_policy_may_ask_the_model_again(root: Path) -> None:
    lm, engine = scripted_lm(lambda prompt: "no fields at all")
    given = replace(on_recording(root), lm=lm)
    result: dict[str, Any] = asyncio.run(run_search(given, claim(given.config, given.manifest)))
    assert engine.prompts
    assert None not in [row["values"]["correct"]["mean"] for row in result["rows"]]


def test_the_tasks_kept_aside_are_search_tasks_that_nothing_else_uses() -> None:
    world, config = PlantedBenchmark(), small(Path("runs"), **SIZES)
    splits = split_tasks(world, config, recorded=True)
    assert (*splits.train, *splits.val, *splits.dev) == world.tasks("search")[:14]
    with pytest.raises(UsageError, match="train \\+ val \\+ dev, of a recording: 5008 tasks asked"):
        split_tasks(world, small(Path("runs"), **{**SIZES, "dev": 5000}), recorded=True)


def test_a_tree_that_was_not_recorded_is_named_with_what_to_do(root: Path) -> None:
    given = on_recording(root, dev=8)
    with pytest.raises(UsageError, match=r"2 of 16 tasks have no recorded tree of roots=2 attempts=2 turns=3.*unpack"):
        asyncio.run(run_search(given, claim(given.config, given.manifest)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"live": True}, "live"), ({"recorded_val": 2}, "recorded_val"), ({"harvested": "tasks.jsonl"}, "harvested")],
)
def test_what_needs_attempts_is_refused(changed: dict[str, JsonValue], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^{said}: .*only a recording is here"):
        require_replayable(small(tmp_path, **{**SIZES, **changed}))


def test_an_arm_is_worth_what_its_controller_is(root: Path) -> None:
    with job_at(root, **{**SIZES, "train": 10}) as job:
        train, val = job.wired.splits.train, job.wired.splits.val
        job = replace(job, wired=replace(job.wired, splits=replace(job.wired.splits, dev=train[4:])))
        arms = {arm.name: arm for arm in recorded_arms(2, 3, job.wired.actions[1:])}
        found = asyncio.run(score_arm_recorded(job, arms["continue@2"]))
        alone = asyncio.run(aside_evaluator(job).evaluate(Request(seed_candidate(), job.wired.splits.dev, seed=0)))
        assert [score.values for score in found["dev"]] == [one.score.values for one in alone]
        assert [score.task_digest for score in found["search"]] == [task.digest for task in val]
        assert all(score.source == "replay" for score in (*found["dev"], *found["search"]))
