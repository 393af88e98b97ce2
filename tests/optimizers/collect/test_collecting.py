"""Recording trees: their shape, their cost, and that nothing is attempted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from controllers import Worker
from controllers.baselines import seed_candidate
from controllers.corpus import MemoryCorpus, SqliteCorpus
from controllers.history import Seen
from controllers.observe import lineage
from controllers.retry import RetryPolicy
from optimizers.collect.collecting import CollectPlan, Purchase, buy, collect, purchase_spec, tree_spec
from optimizers.setup import Setup
from signatures.errors import ProviderError, UsageError
from signatures.records import (
    Attempt,
    AttemptContext,
    AttemptResult,
    Cost,
    Decision,
    Episode,
    Steer,
    Task,
    WorkerFingerprint,
)
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


@dataclass
class Writer:
    """A steerer like a model: each time another text, at a price, and sometimes it cannot be asked."""

    fails: frozenset[int] = frozenset()
    "calls that fail"
    retryable: bool = True
    calls: list[str] = field(default_factory=list)

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        """Text number n."""
        self.calls.append(history[-1].attempt.id)
        if len(self.calls) in self.fails:
            raise ProviderError("busy", retryable=self.retryable)
        return Steer(kind="analyst", action="text", text=f"text {len(self.calls)}"), Cost(tokens_out=7, usd=0.25)


WRITTEN = CollectPlan(roots=2, depth=2, actions=("none", "text"))


def writing(lab: Lab, writer: Writer) -> Setup:
    setup = lab.setup(breaker=1000)
    return replace(setup, steers={**setup.steers, "text": writer}, retry=RetryPolicy(tries=3, base_s=0))


def hard(lab: Lab) -> Task:
    """A task that no fresh attempt solves: five turns are needed and three are granted."""
    return lab.benchmark.tasks("search")[0]


async def written(lab: Lab, writer: Writer) -> tuple[Episode, list[Seen], dict[str, str]]:
    setup = writing(lab, writer)
    spec = tree_spec(setup, hard(lab), WRITTEN)
    return await collect(spec, setup.parts(seed_candidate()), WRITTEN)


async def test_what_a_steer_cost_is_on_its_attempt_and_in_the_episodes_bill(lab: Lab) -> None:
    writer = Writer()
    episode, history, _ = await written(lab, writer)
    texts = [seen.attempt for seen in history if seen.attempt.steer.action == "text"]
    assert len(texts) == len(writer.calls) > 0
    assert {(a.steer_cost.usd, a.steer_cost.tokens_out) for a in texts} == {(0.25, 7)}
    assert episode.spent.usd == 0.25 * len(texts)


async def test_a_steer_that_stumbles_is_asked_again(lab: Lab) -> None:
    writer = Writer(fails=frozenset({1, 2}))
    episode, history, _ = await written(lab, writer)
    assert episode.failure is None
    assert "text 3" in {seen.attempt.steer.text for seen in history}


async def test_a_steer_that_cannot_be_had_spoils_the_tree_and_is_not_asked_for_again(lab: Lab) -> None:
    writer = Writer(fails=frozenset({2}), retryable=False)
    episode, history, outputs = await written(lab, writer)
    assert episode.failure is not None and episode.failure.where == "steer text"
    assert len(history) == 4  # two roots, two children of the first, and nothing after the failure
    assert await written(lab, writer) == (episode, history, outputs)
    assert len(writer.calls) == 2


async def test_a_recorded_steer_is_not_made_again(tmp_path: Path) -> None:
    whole = Lab(tmp_path, corpus=(corpus := MemoryCorpus()))
    await written(whole, Writer())
    whole.close()
    for records in range(await corpus.high_water() + 1):
        cut = Lab(tmp_path / str(records), corpus=await cut_corpus(corpus, records))
        there = {a.id: a async for a in cut.corpus.scan(Attempt)}
        writer = Writer()
        _, history, _ = await written(cut, writer)
        cut.close()
        again = {seen.attempt.id: seen.attempt for seen in history}
        assert there.items() <= again.items()
        texts = sum(a.steer.action == "text" for a in again.values())
        assert len(writer.calls) == texts - sum(a.steer.action == "text" for a in there.values())


async def test_an_unknown_action_is_refused(lab: Lab) -> None:
    plan = CollectPlan(roots=1, depth=2, actions=("none", "dance"))
    with pytest.raises(UsageError, match="no steer is called 'dance'"):
        await collected(lab, hard(lab), plan)


# What is bought for a tree that is there.


async def recorded(lab: Lab, task: Task) -> tuple[Setup, list[Seen]]:
    setup = lab.setup(breaker=1000)
    _, history, _ = await collect(tree_spec(setup, task, PLAN), setup.parts(seed_candidate()), PLAN)
    return setup, history


def a_purchase(task: Task, parent: Seen | None, *, depth: int, repeat: int = 0) -> Purchase:
    id = None if parent is None else parent.attempt.id
    action = "none" if parent is None else "fan"
    return Purchase(task_digest=task.digest, parent_id=id, action=action, depth=depth, repeat=repeat)


async def bought(
    setup: Setup, task: Task, history: Sequence[Seen], purchase: Purchase
) -> tuple[Episode, list[Seen], dict[str, str]]:
    spec = purchase_spec(setup, task, PLAN, purchase)
    above = lineage(history, purchase.parent_id or "")
    return await buy(spec, setup.parts(seed_candidate()), PLAN, purchase.action, above=above)


@dataclass
class Watched:
    """A worker that keeps the states it was started from."""

    inner: Worker
    starts: list[str | None] = field(default_factory=list)

    @property
    def fingerprint(self) -> WorkerFingerprint:
        return self.inner.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        self.starts.append(start)
        return await self.inner.attempt(task, context, start)


async def test_what_is_bought_goes_on_from_the_state_of_a_parent_in_another_episode(lab: Lab) -> None:
    task = hard(lab)
    setup, history = await recorded(lab, task)
    parent = next(seen for seen in history if not passed(seen))
    watched = lab.worker.inner = Watched(lab.worker.inner)
    episode, grown, _ = await bought(setup, task, history, a_purchase(task, parent, depth=2))
    first = grown[0].attempt
    assert first.parent_id == parent.attempt.id
    assert first.start_digest == parent.attempt.state_digest
    assert first.steer.action == "fan"
    assert watched.starts[0] == (await lab.corpus.blob(parent.attempt.state_digest or "")).decode()
    assert episode.condition == "collect top-up x3"
    assert first.id in episode.attempt_ids and parent.attempt.id not in episode.attempt_ids
    below = [seen.attempt for seen in grown[1:]]
    assert {a.parent_id for a in below} <= {first.id}
    assert [a.steer.action for a in below] == ([] if passed(grown[0]) else ["none", "fan"])


async def test_a_bought_root_is_grown_to_the_depth_of_the_plan(lab: Lab) -> None:
    task = hard(lab)
    setup, history = await recorded(lab, task)
    episode, grown, _ = await bought(setup, task, history, a_purchase(task, None, depth=1))
    assert grown[0].attempt.parent_id is None
    depths = {len(lineage(grown, seen.attempt.id)) for seen in grown}
    assert depths == ({1} if passed(grown[0]) else {1, 2, 3})
    assert len(grown) <= PLAN.most_from(1) == (episode.granted.attempts or 0)


async def test_each_purchase_is_another_attempt_and_the_same_one_is_recalled(lab: Lab) -> None:
    task = hard(lab)
    setup, history = await recorded(lab, task)
    parent = next(seen for seen in history if not passed(seen))
    first = await bought(setup, task, history, a_purchase(task, parent, depth=2))
    calls = len(lab.worker.calls)
    assert await bought(setup, task, history, a_purchase(task, parent, depth=2)) == first
    assert len(lab.worker.calls) == calls
    other = await bought(setup, task, history, a_purchase(task, parent, depth=2, repeat=1))
    assert not {seen.attempt.id for seen in other[1]} & {seen.attempt.id for seen in first[1]}


def test_what_one_branch_can_take() -> None:
    assert [PLAN.most_from(depth) for depth in (1, 2, 3)] == [1 + 2 + 4, 1 + 2, 1]
