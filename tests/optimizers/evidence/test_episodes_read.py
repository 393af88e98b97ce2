"""Where whole episodes come from: the decisions are those that were made, the alternatives those that are recorded."""

from __future__ import annotations

import pytest

from controllers.arms import distribution
from controllers.baselines import seed_candidate
from controllers.loop import run_episode
from controllers.observe import NoObserver
from controllers.policies import View
from controllers.program import controller_of, rule_component
from optimizers.evidence.episodes_read import branch_told, live_told, path_to, tried, walk_told
from optimizers.evidence.episodes_told import Tried
from optimizers.replay.tree import TreeReplay
from optimizers.setup import Grant
from signatures.records import Decision
from tests.worlds.lab import Lab, lamp_follower, with_components
from tests.worlds.recorded import OBJECTIVES, TASK, Node, tree_of

NODES = (
    Node("r1", correct=0.25),
    Node("r2", correct=0.5),
    Node("n", correct=0.25, parent="r1", action="none"),
    Node("f1", correct=0.75, parent="r1", action="fan"),
    Node("f2", correct=1.0, parent="r1", action="fan"),
)
REPLAY = TreeReplay({TASK.digest: tree_of(NODES)}, NoObserver(), OBJECTIVES, Grant(3, None, ("none", "fan")))
MIXED = with_components(
    stop=rule_component([], {"continue": 0.8, "done": 0.2}),
    topology=rule_component([], {"refine_last": 0.5, "fanout_1": 0.25, "fanout_2": 0.25}),
    steer=rule_component([], {"fan": 0.5, "none": 0.5}),
)


async def test_a_live_episode_is_told_with_its_recorded_decisions(lab: Lab) -> None:
    setup = lab.setup()
    for number, task in enumerate(lab.benchmark.tasks("search")[:8]):
        spec = setup.spec(task, MIXED, condition="c", split="search", seed=number)
        rollout = await run_episode(spec, setup.parts(MIXED))
        told = await live_told(rollout, setup.corpus)
        recorded = [await setup.corpus.get(Decision, id) for id in rollout.episode.decision_ids]
        assert (told.attempts, told.unread) == (rollout.history, 0)
        assert [(c.policy, c.action, c.legal, c.chances) for c in told.choices] == [
            (d.policy, d.action, d.legal, d.probabilities) for d in recorded if d is not None
        ]
        assert all(choice.made == choice.features["attempts"] for choice in told.choices)


async def test_decisions_that_are_gone_are_counted(lab: Lab) -> None:
    setup = lab.setup()
    spec = setup.spec(lab.benchmark.tasks("search")[0], MIXED, condition="c", split="search", seed=1)
    rollout = await run_episode(spec, setup.parts(MIXED))
    episode = rollout.episode.model_copy(update={"decision_ids": (*rollout.episode.decision_ids, "gone")})
    assert (await live_told(rollout._replace(episode=episode), setup.corpus)).shown()[
        "decisions that could not be read"
    ]


@pytest.mark.parametrize("candidate", [seed_candidate(), lamp_follower(), MIXED], ids=["seed", "lamps", "mixed"])
async def test_a_walk_is_what_the_candidate_would_do(lab: Lab, candidate: object) -> None:
    tasks = lab.benchmark.tasks("search")[:6]
    replay = await lab.replay(tasks)
    controller = controller_of(candidate)  # type: ignore[arg-type]
    ended = 0
    for task in tasks:
        told = await walk_told(replay, controller, task, seed=3)
        assert told is not None and told == await walk_told(replay, controller, task, seed=3)
        for choice in told.choices:
            policy = controller.policies[choice.policy]
            before = told.attempts[: choice.made]
            weights = (await policy.decide(View(task, choice.features, choice.legal, before))).weights
            assert choice.chances == distribution(weights, choice.legal)
            assert not choice.action or choice.chances[choice.action] > 0
            after = told.attempts[choice.made :]
            if choice.policy == "stop":
                assert (choice.action == "continue") == bool(after) or not told.choices[-1].action
            elif choice.policy == "steer" and choice.action:
                assert choice.action == after[0].attempt.steer.action
            elif choice.action.startswith("fanout_"):
                launched = int(choice.action.removeprefix("fanout_"))
                assert [seen.attempt.parent_id for seen in after[:launched]] == [None] * launched
        ended += told.choices[-1].action == "done"
    assert ended or candidate is not seed_candidate()


async def test_of_a_task_without_a_tree_there_is_no_walk() -> None:
    other = TASK.model_copy(update={"digest": "other"})
    assert await walk_told(REPLAY, controller_of(seed_candidate()), other, seed=0) is None


def test_the_alternatives_are_the_recorded_attempts_and_how_they_changed_correct() -> None:
    tree = REPLAY.trees[TASK.digest]
    before = (tree.history[0],)
    assert tried(tree, before, "steer", ("none", "fan", "pump")) == {"none": Tried(1, 0.0), "fan": Tried(2, 0.625)}
    assert tried(tree, before, "topology", ("refine_last", "fanout_1", "fanout_2")) == {
        "refine_last": Tried(3, pytest.approx(1.25 / 3)),
        "fanout_1": Tried(1, 0.25),
    }
    assert tried(tree, before, "stop", ("continue", "done")) == tried(tree, (), "topology", ("fanout_1",)) == {}
    both = (tree.history[0], tree.history[3])
    assert tried(tree, both, "steer", ("fan",), of="r1") == {"fan": Tried(1, 0.75)}, "what was made is none any more"


def test_a_branch_is_told_with_what_it_decided_and_what_else_was_tried() -> None:
    path = path_to(REPLAY, TASK.digest, REPLAY.trees[TASK.digest].history[4])
    told = branch_told(REPLAY, TASK.digest, path)
    assert [(c.policy, c.made, c.action) for c in told.choices] == [
        ("topology", 0, "fanout_1"),
        ("stop", 1, "continue"),
        ("topology", 1, "refine_last"),
        ("steer", 1, "fan"),
    ]
    assert all(choice.chances is None for choice in told.choices)
    assert told.correct == 1.0
    stopped = branch_told(REPLAY, TASK.digest, path[:1], stopped=True)
    assert [(c.policy, c.made, c.action) for c in stopped.choices][-1] == ("stop", 1, "done")
