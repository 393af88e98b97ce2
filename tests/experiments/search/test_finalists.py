"""Traced finalists: what was seen of their dev episodes, with no new attempt and no verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from controllers.baselines import seed_candidate
from experiments.events import EpisodeTraced
from experiments.places import claim
from experiments.search.finalists import SAMPLED, traced
from experiments.search.stages import evaluator_of, score_candidates
from experiments.wiring import ready, wired
from optimizers.space import with_default
from signatures.records import Attempt
from tests.worlds.planted import CountingWorker
from tests.worlds.small import small
from tests.worlds.troubled import CANARY

MARKED = "tests.worlds.troubled:MarkedBenchmark"


async def test_finalists_are_shown_turn_by_turn_without_another_attempt(tmp_path: Path) -> None:
    given = ready(small(tmp_path, benchmark=MARKED))
    worker = CountingWorker(given.worker)
    front = {"g00-c0": seed_candidate(), "g01-c0": with_default(seed_candidate(), "steer", "fan")}
    with wired(replace(given, worker=worker), claim(given.config, given.manifest)) as parts:
        dev = evaluator_of(parts, split="dev", namespace="dev")
        await score_candidates(dev, front, parts.splits.dev, seed=3, step=lambda: None)
        before = len(worker.calls)
        events = await traced(dev, front, parts.splits.dev, seed=3)
        assert len(worker.calls) == before
        stored = {attempt.id async for attempt in parts.setup.corpus.scan(Attempt)}
    assert [event.name for event in events] == [name for name in front for _ in range(SAMPLED)]
    assert len({event.episode_id for event in events}) == 2 * SAMPLED
    for event in events:
        assert isinstance(event, EpisodeTraced)
        assert {attempt.attempt_id for attempt in event.attempts} <= stored
        assert all(attempt.events and attempt.checks for attempt in event.attempts)
        assert CANARY not in event.model_dump_json()
    steered = [attempt.steer for event in events if event.name == "g01-c0" for attempt in event.attempts[1:]]
    assert steered and all(steer == "Work on the fan before anything else." for steer in steered)


async def test_a_split_smaller_than_the_sample_is_shown_whole(tmp_path: Path) -> None:
    given = ready(small(tmp_path))
    with wired(given, claim(given.config, given.manifest)) as parts:
        dev = evaluator_of(parts, split="dev", namespace="dev")
        assert len(await traced(dev, {"a": seed_candidate()}, parts.splits.dev[:1], seed=3)) == 1
