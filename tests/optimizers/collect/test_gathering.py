"""Gathering: all recorded trees of a task and what was bought for them are one tree, and nothing counts twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controllers.baselines import exploring_candidate, seed_candidate
from controllers.history import Seen
from controllers.loop import run_episode
from controllers.observe import lineage
from optimizers.collect.collecting import CollectPlan, Purchase, buy, collect, purchase_spec, tree_spec
from optimizers.collect.gathering import DRAWN, Gathered, gather, made_with, outputs_of, recorded_tree, seen_of
from optimizers.replay.tree import Tree, TreeReplay
from optimizers.setup import Setup
from signatures.errors import UsageError
from signatures.records import Attempt, Episode, Task
from tests.worlds.lab import STEERS, Lab, steered
from tests.worlds.planted import CountingWorker, PlantedBenchmark, PlantedConfig

PLAN = CollectPlan(roots=2, depth=2, actions=STEERS)


@pytest.fixture
def task(lab: Lab) -> Task:
    return lab.benchmark.tasks("search")[0]


async def grown(setup: Setup, task: Task, plan: CollectPlan = PLAN, *, repeat: int = 0) -> Episode:
    spec = tree_spec(setup, task, plan, repeat=repeat)
    episode, _, _ = await collect(spec, setup.parts(seed_candidate()), plan)
    return episode


async def found_in(setup: Setup, task: Task, plan: CollectPlan = PLAN) -> Gathered:
    return await gather(setup.corpus, task.digest, made_with(setup, task, plan), depth=plan.depth)


async def bought(
    setup: Setup, task: Task, parent: Attempt | None, *, repeat: int = 0, plan: CollectPlan = PLAN
) -> list[Seen]:
    history = await recorded_tree(setup.corpus, task.digest)
    above = [] if parent is None else lineage(history, parent.id)
    action = "none" if parent is None else "fan"
    purchase = Purchase(
        task_digest=task.digest,
        parent_id=None if parent is None else parent.id,
        action=action,
        depth=len(above) + 1,
        repeat=repeat,
    )
    spec = purchase_spec(setup, task, plan, purchase)
    _, seen, _ = await buy(spec, setup.parts(seed_candidate()), plan, action, above=above)
    return seen


def ids(attempts: object) -> set[str]:
    return {attempt.id for attempt in attempts}  # type: ignore[attr-defined]  # attempts of any collection


async def test_a_tree_and_what_was_bought_for_it_are_one_history(lab: Lab, task: Task) -> None:
    setup = lab.setup()
    episode = await grown(setup, task)
    before = await recorded_tree(lab.corpus, task.digest)
    parent = before[0].attempt
    child = await bought(setup, task, parent)
    root = await bought(setup, task, None)
    history = await recorded_tree(lab.corpus, task.digest)
    new = {seen.attempt.id for seen in (*child, *root)}
    assert [seen.attempt.id for seen in history[: len(before)]] == list(episode.attempt_ids)
    assert {seen.attempt.id for seen in history} == set(episode.attempt_ids) | new
    tree = Tree(history, {})
    assert len(tree.roots) == 3
    assert len(tree.children[parent.id, "fan"]) == 2
    assert child[0].trace == next(seen.trace for seen in history if seen.attempt.id == child[0].attempt.id)


async def test_a_replay_draws_what_was_bought_with_equal_chance(lab: Lab, task: Task) -> None:
    """And a candidate that goes on from it is still supported wholly."""
    setup = lab.setup()
    await grown(setup, task)
    parent = (await recorded_tree(lab.corpus, task.digest))[0].attempt
    await bought(setup, task, parent)
    await bought(setup, task, None)
    history = await recorded_tree(lab.corpus, task.digest)
    outputs = await outputs_of(lab.corpus, [seen.attempt for seen in history])
    verdicts = {id: (await lab.judge.judge(task, output)).score for id, output in outputs.items()}
    grant = replace(lab.grant, attempts=2)
    replay = TreeReplay({task.digest: Tree(history, verdicts)}, lab.benchmark, lab.benchmark.objectives, grant)
    value = await replay.value(setup.parts(steered("fan")).controller, task)
    assert value is not None and value.supported


async def test_gathering_is_strict_about_what_a_tree_was_made_with(lab: Lab, task: Task) -> None:
    setup = lab.setup()
    await grown(setup, task)
    assert (await found_in(setup, task)).roots == 2
    short = replace(setup, grant=replace(setup.grant, turns_per_attempt=2))
    judged = replace(setup, revision="another judge")
    for other in (short, judged):
        found = await found_in(other, task)
        assert (found.tree, found.left_out) == ((), 1)
    fewer = CollectPlan(roots=2, depth=2, actions=STEERS[:2])
    assert (await found_in(setup, task, fewer)).tree == ()


async def test_a_tree_less_deep_would_take_support_from_longer_candidates(lab: Lab, task: Task) -> None:
    setup = lab.setup()
    flat = CollectPlan(roots=5, depth=1, actions=STEERS)
    await grown(setup, task, flat)
    assert len(await recorded_tree(lab.corpus, task.digest, depth=2)) == 5  # what there is
    deep = await grown(setup, task)
    history = await recorded_tree(lab.corpus, task.digest, depth=2)
    assert {seen.attempt.id for seen in history} == set(deep.attempt_ids)
    assert len(await recorded_tree(lab.corpus, task.digest, depth=1)) > 5


async def test_a_root_that_two_trees_share_counts_once(lab: Lab, task: Task) -> None:
    setup = lab.setup()
    small = await grown(setup, task)
    wide = await grown(setup, task, CollectPlan(roots=4, depth=2, actions=STEERS))
    stored = {a.id: a async for a in lab.corpus.scan(Attempt)}
    assert stored[small.attempt_ids[0]].output_digest == stored[wide.attempt_ids[0]].output_digest
    found = await found_in(setup, task)
    assert found.roots == 4
    assert ids(found.tree) == set(wide.attempt_ids)


async def test_what_infrastructure_ended_is_left_out_and_its_repeat_counts(lab: Lab, task: Task) -> None:
    lab.worker.fails = lambda task, call: OSError("gone") if call == 1 else None
    setup = lab.setup()
    spoilt = await grown(setup, task)
    assert spoilt.failure is not None
    found = await found_in(setup, task)
    assert (found.tree, found.left_out) == ((), 1)
    again = await grown(setup, task, repeat=1)
    assert ids((await found_in(setup, task)).tree) == set(again.attempt_ids)


async def test_a_purchase_that_was_spoilt_is_known_to_have_been_tried(lab: Lab, task: Task) -> None:
    setup = lab.setup()
    await grown(setup, task)
    parent = (await found_in(setup, task)).tree[0]
    lab.worker.fails = lambda task, call: OSError("gone")
    await bought(setup, task, parent)
    found = await found_in(setup, task)
    assert found.tried == {(parent.id, "fan"): 1}
    assert found.left_out == 1


async def test_stochastic_episodes_are_found_and_are_no_part_of_the_tree(lab: Lab, task: Task) -> None:
    setup = lab.setup()
    explorer = exploring_candidate(STEERS)
    for condition in (DRAWN, "candidate"):
        spec = setup.spec(task, explorer, condition=condition, split="search", seed=1)
        await run_episode(spec.model_copy(update={"floor": 0.05}), setup.parts(explorer))
    await run_episode(
        setup.spec(task, seed_candidate(), condition=DRAWN, split="search", seed=1), setup.parts(seed_candidate())
    )
    found = await found_in(setup, task)
    assert [part.episode.condition for part in found.drawn] == [DRAWN]
    assert found.drawn[0].episode.candidate == explorer.digest
    assert (found.tree, found.left_out) == ((), 1)


async def test_trees_of_two_workers_are_not_mixed(tmp_path: Path, lab: Lab, task: Task) -> None:
    await grown(lab.setup(), task)
    noisy = PlantedBenchmark(PlantedConfig(noise=0.5)).worker(None, None)
    other = replace(lab.setup(), worker=CountingWorker(noisy))
    await grown(other, task)
    with pytest.raises(UsageError, match="trees of several workers"):
        await recorded_tree(lab.corpus, task.digest)
    history = await recorded_tree(lab.corpus, task.digest, worker=noisy.fingerprint)
    assert history and all(seen.attempt.worker == noisy.fingerprint for seen in history)


async def test_nothing_recorded_is_an_empty_history(lab: Lab, task: Task) -> None:
    assert await recorded_tree(lab.corpus, task.digest) == ()
    assert await found_in(lab.setup(), task) == Gathered()


async def test_an_attempt_that_did_not_happen_has_no_trace(lab: Lab, task: Task) -> None:
    lab.worker.fails = lambda task, call: OSError("gone")
    await grown(lab.setup(), task)
    attempts = [a async for a in lab.corpus.scan(Attempt)]
    assert await seen_of(lab.corpus, attempts[0]) == Seen(attempts[0], ())
    assert await outputs_of(lab.corpus, attempts) == {}
