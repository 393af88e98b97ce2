"""Recording trees: their shape, their cost, and that nothing is attempted twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from controllers.baselines import seed_candidate
from controllers.corpus import MemoryCorpus, SqliteCorpus
from controllers.history import Seen
from optimizers.collecting import CollectPlan, collect
from signatures.records import Attempt, Decision, Episode, Task
from tests.worlds.lab import STEERS, Lab, cut_corpus

PLAN = CollectPlan(roots=2, depth=3, actions=("none", "fan"))


def passed(seen: Seen) -> bool:
    check = seen.attempt.check("correct")
    return check is not None and bool(check.passed)


async def collected(lab: Lab, task: Task, plan: CollectPlan = PLAN) -> tuple[Episode, list[Seen], dict[str, str]]:
    setup = lab.setup(breaker=1000)
    spec = setup.spec(task, seed_candidate(), condition="collect", split="search", seed=3)
    return await collect(spec, setup.parts(seed_candidate()), plan)


@pytest.mark.parametrize(
    ("roots", "depth", "actions", "most"), [(2, 3, 2, 2 * 7), (3, 1, 5, 3), (1, 2, 5, 6), (2, 3, 0, 2)]
)
def test_the_most_that_a_tree_can_take(roots: int, depth: int, actions: int, most: int) -> None:
    plan = CollectPlan(roots=roots, depth=depth, actions=STEERS[:actions])
    assert plan.most_attempts == most


async def test_each_unsolved_attempt_is_refined_under_each_action_to_the_depth(lab: Lab) -> None:
    for task in lab.benchmark.tasks("search")[:8]:
        episode, history, outputs = await collected(lab, task)
        by_id = {seen.attempt.id: seen for seen in history}
        depth = {seen.attempt.id: 1 for seen in history if seen.attempt.parent_id is None}
        assert len(depth) == 2
        children: Counter[tuple[str, str]] = Counter()
        for seen in history:
            if (parent := seen.attempt.parent_id) is not None:
                assert not passed(by_id[parent])
                depth[seen.attempt.id] = depth[parent] + 1
                children[parent, seen.attempt.steer.action] += 1
        expected = {
            (id, action)
            for id, level in depth.items()
            if level < 3 and not passed(by_id[id])
            for action in PLAN.actions
        }
        assert set(children) == expected and set(children.values()) <= {1}
        assert set(outputs) == set(by_id)
        assert episode.attempt_ids == tuple(by_id)
        assert len(history) <= PLAN.most_attempts


async def test_no_decision_is_recorded_because_nothing_was_drawn(lab: Lab) -> None:
    episode, _, _ = await collected(lab, lab.benchmark.tasks("search")[0])
    assert episode.decision_ids == ()
    assert [one async for one in lab.corpus.scan(Decision)] == []


async def test_recording_again_recalls(tmp_path: Path) -> None:
    corpus = SqliteCorpus(tmp_path / "corpus.db")
    lab = Lab(tmp_path, corpus=corpus)
    task = lab.benchmark.tasks("search")[0]
    first = await collected(lab, task)
    calls = len(lab.worker.calls)
    second = await collected(lab, task)
    stored = [one async for one in corpus.scan(Attempt)]
    lab.close()
    corpus.close()
    assert second == first
    assert len(lab.worker.calls) == calls == len(stored)


async def test_a_cut_recording_goes_on_where_the_corpus_ends(tmp_path: Path) -> None:
    whole = Lab(tmp_path, corpus=(corpus := MemoryCorpus()))
    task = whole.benchmark.tasks("search")[0]
    expected = await collected(whole, task)
    whole.close()
    for records in range(0, await corpus.high_water() + 1, 3):
        cut = Lab(tmp_path / str(records), corpus=await cut_corpus(corpus, records))
        stored = {attempt.id async for attempt in cut.corpus.scan(Attempt)}
        assert await collected(cut, task) == expected
        cut.close()
        assert sorted(cut.worker.calls) == sorted(call for call in whole.worker.calls if call[1] not in stored)


async def test_an_infrastructure_failure_is_recorded_and_not_refined(lab: Lab) -> None:
    task = lab.benchmark.tasks("search")[0]
    lab.worker.fails = lambda task, call: OSError("gone") if call == 1 else None
    episode, history, outputs = await collected(lab, task)
    failed = history[0].attempt
    assert failed.outcome == "infra_error"
    assert failed.id not in outputs
    assert not any(seen.attempt.parent_id == failed.id for seen in history)
    assert len(history) > 2 and episode.failure is not None
