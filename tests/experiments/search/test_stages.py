"""The stages of a run: what the corpus holds is not attempted again, and arms meet what candidates meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import JsonValue

from controllers.baselines import seed_candidate
from controllers.scripted_engine import scripted_lm
from experiments.places import claim
from experiments.search.stages import (
    arms_of,
    evaluator_of,
    proposer_of,
    score_arm,
    score_candidates,
    space_from,
)
from experiments.search.trees import record_trees
from experiments.search_config import SearchConfig
from experiments.wiring import Ready, Wired, ready, wired
from optimizers.evidence.reflection import Reflection
from optimizers.proposers.lm import LMProposer, Material
from optimizers.proposers.mined import MinedProposer
from signatures.records import Episode
from tests.worlds.planted import CountingWorker
from tests.worlds.small import small

ACTIONS = ("none", "fan", "pump", "valve", "core")


@contextmanager
def opened(
    root: Path, worker: CountingWorker | None = None, **changed: JsonValue
) -> Iterator[tuple[SearchConfig, Wired]]:
    given: Ready = ready(small(root, **changed))
    if worker is not None:
        given = replace(given, worker=worker)
    with wired(given, claim(given.config, given.manifest)) as parts:
        yield given.config, parts


def counted(root: Path) -> CountingWorker:
    return CountingWorker(ready(small(root)).worker)


def nothing() -> None:
    """No progress bar."""


async def test_the_space_is_what_the_train_moves_span(tmp_path: Path) -> None:
    with opened(tmp_path) as (config, parts):
        replay = (await record_trees(config, parts, nothing)).replay
        space = space_from(replay, parts.splits.train, parts.actions, config.attempts)
    assert space.actions["steer"] == ACTIONS
    assert space.actions["topology"] == ("refine_last", "fanout_1", "fanout_2")
    assert any(name.startswith("planted.lit") for name in space.thresholds)
    assert space_from(replay, parts.splits.train, ACTIONS, 1).actions["topology"] == ("refine_last", "fanout_1")


async def test_what_was_learned_elsewhere_is_in_the_space_and_with_the_proposer(tmp_path: Path) -> None:
    lesson = Reflection(
        policy="steer", features={"attempts": 40.0, "correct": 0.123}, action="fan", gain=0.0, turns=1, origin="a b"
    )
    with opened(tmp_path) as (config, parts):
        replay = (await record_trees(config, parts, nothing)).replay
        plain = space_from(replay, parts.splits.train, parts.actions, config.attempts)
        space = space_from(replay, parts.splits.train, parts.actions, config.attempts, learned=[lesson])
        proposer = proposer_of(parts, space, Material([lesson]))
    assert max(space.thresholds["attempts"]) > max(plain.thresholds.get("attempts", (0.0,)))
    assert isinstance(proposer, MinedProposer) and tuple(proposer.learned) == (lesson,)


async def test_without_a_model_rules_are_mined_and_with_one_it_is_asked(tmp_path: Path) -> None:
    lm, _ = scripted_lm(lambda prompt: "")
    with opened(tmp_path) as (config, parts):
        replay = (await record_trees(config, parts, nothing)).replay
        space = space_from(replay, parts.splits.train, parts.actions, config.attempts)
        assert isinstance(proposer_of(parts, space), MinedProposer)
        assert isinstance(proposer_of(replace(parts, lm=lm), space), LMProposer)


@pytest.mark.parametrize(
    ("actions", "lm", "names"),
    [
        (ACTIONS, None, ["random@2", "continue@2", "placebo@2", "refine@2/rule", "long@1"]),
        (("none",), None, ["random@2", "continue@2", "refine@2/report", "long@1"]),
        (
            ("none", "untried"),
            "a/b",
            ["random@2", "continue@2", "placebo@2", "refine@2/untried", "refine@2/rule", "refine@2/text", "long@1"],
        ),
    ],
)
def test_the_arms_follow_the_table_of_actions(
    tmp_path: Path, actions: tuple[str, ...], lm: str | None, names: list[str]
) -> None:
    arms = arms_of(small(tmp_path, lm=lm), actions)
    assert [arm.name for arm in arms] == names
    assert {arm.attempts * (arm.turns_per_attempt or 0) for arm in arms} == {2 * 3}  # equal compute


async def test_arms_and_candidates_meet_the_same_tasks_with_the_same_seed(tmp_path: Path) -> None:
    with opened(tmp_path) as (config, parts):
        dev = evaluator_of(parts, split="dev", namespace="dev")
        arm = next(arm for arm in arms_of(config, parts.actions) if arm.name == "continue@2")
        on_dev = await score_arm(dev, arm, parts.splits.dev, seed=9)
        both = await score_candidates(dev, {"a": seed_candidate()}, parts.splits.dev, seed=9, step=nothing)
        digests = [task.digest for task in parts.splits.dev]
        assert [score.task_digest for score in on_dev] == [score.task_digest for score in both["a"]] == digests
        splits = {episode.split async for episode in parts.setup.corpus.scan(Episode)}
    assert splits == {"dev"}
    assert {score.source for score in (*on_dev, *both["a"])} == {"live"}
