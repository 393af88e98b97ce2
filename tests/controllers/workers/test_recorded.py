"""A worker that cannot be asked: its attempts are recalled, and what was not recorded is infrastructure."""

from __future__ import annotations

import pytest

from controllers.corpus import MemoryCorpus
from controllers.loop import run_episode
from controllers.workers.recorded import RecordedWorker
from signatures.records import Task, WorkerFingerprint
from tests.controllers.parts import Climber, a_spec, a_task, parts_of

WHO = WorkerFingerprint(name="chat", model="local/small", params={"temperature": "0.8"})


async def test_an_episode_that_was_recorded_is_played_again_without_the_worker() -> None:
    corpus = MemoryCorpus()
    live = Climber()
    recorded = await run_episode(a_spec(), parts_of(live, corpus=corpus))
    again = await run_episode(a_spec(), parts_of(RecordedWorker(live.fingerprint), corpus=corpus))
    assert again == recorded and len(live.contexts) == 3


async def test_what_was_not_recorded_is_a_failure_and_no_score() -> None:
    rollout = await run_episode(a_spec(task=a_task("another")), parts_of(RecordedWorker(WHO)))
    attempts = [seen.attempt for seen in rollout.history]
    assert rollout.episode.failure is not None and rollout.output is None
    assert all(one.outcome == "infra_error" and one.checks == () for one in attempts)
    assert "this is a recording of local/small" in rollout.episode.failure.message
    assert rollout.episode.failure.error == "WorkerError" and rollout.episode.failure.tries == 1


async def test_it_has_the_fingerprint_it_was_given() -> None:
    worker = RecordedWorker(WHO)
    assert worker.fingerprint == WHO
    with pytest.raises(RuntimeError, match="recording"):
        await worker.attempt(Task(digest="t", benchmark="b", prompt="p"), None, None)  # type: ignore[arg-type]
