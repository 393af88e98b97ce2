"""Walks against exact replay of the same trees: the same value and the same unsupported mass in the long run."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.baselines import controller_components
from controllers.observe import NoObserver
from controllers.policies import View, Weights
from controllers.program import Controller, controller_of, program_candidate, rule_component
from controllers.programs import builtin
from optimizers.replay.tree import TreeReplay
from optimizers.replay.walk import Ask, Walk, walked
from optimizers.setup import Grant
from signatures.records import Candidate, PolicyName
from tests.worlds.recorded import OBJECTIVES, TASK, Node, tree_of

GRANT = Grant(3, None, ("none", "fan", "pump"))
CANDIDATE = Candidate(
    components={
        "stop": rule_component(
            [{"when": [{"feature": "passed", "op": ">", "value": 0.5}], "then": {"done": 0.8, "continue": 0.2}}],
            {"continue": 0.7, "done": 0.3},
        ),
        "topology": rule_component([], {"refine_last": 0.6, "fanout_1": 0.2, "fanout_2": 0.2}),
        "steer": rule_component([], {"none": 0.5, "fan": 0.4, "pump": 0.1}),
    }
)


def nodes(rng: random.Random, actions: tuple[str, ...] = ("none", "fan"), roots: int = 3) -> list[Node]:
    """Roots with a child under each action, two levels deep; `pump` was never tried."""
    found = [Node(f"r{n}", correct=rng.choice((0.0, 0.5, 1.0)), turns=rng.randint(1, 4)) for n in range(roots)]
    level = found[:]
    for _ in range(2):
        level = [
            Node(f"{up.id}{a[0]}", correct=rng.choice((0.0, 0.5, 1.0)), parent=up.id, action=a, turns=rng.randint(1, 4))
            for up in level
            for a in actions
        ]
        found += level
    return found


def replay_of(some: list[Node]) -> TreeReplay:
    return TreeReplay({TASK.digest: tree_of(some)}, NoObserver(), OBJECTIVES, GRANT)


def asks(controller: Controller) -> Ask:
    async def ask(policy: PolicyName, view: View) -> Weights:
        return await controller.policies[policy].decide(view)

    return ask


async def test_in_the_long_run_it_is_the_exact_value_of_what_is_supported() -> None:
    controller, replay, n = controller_of(CANDIDATE), replay_of(nodes(random.Random(3))), 4000
    exact = await replay.value(controller, TASK)
    assert exact is not None and 0.02 < exact.unsupported < 0.5
    ends = [await Walk(replay, replay.trees[TASK.digest], TASK, asks(controller), seed).episode() for seed in range(n)]
    masses = [mass for mass, _ in ends]
    mean = math.fsum(masses) / n
    error = math.sqrt(math.fsum((mass - mean) ** 2 for mass in masses)) / n
    assert error > 0
    assert abs(mean - (1 - exact.unsupported)) < 4 * error
    many = await walked(replay, TASK, asks(controller), walks=n, seed=5)
    assert many is not None
    assert many.unsupported == pytest.approx(exact.unsupported, abs=5 * error)
    for name, value in exact.values.items():
        assert many.values[name] == pytest.approx(value, abs=0.03)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), walks=st.integers(1, 4))
async def test_a_walk_is_an_episode_on_recorded_attempts_and_a_function_of_its_seed(seed: int, walks: int) -> None:
    some = nodes(random.Random(seed))
    controller, replay = controller_of(CANDIDATE), replay_of(some)
    walk = Walk(replay, replay.trees[TASK.digest], TASK, asks(controller), seed)
    mass, path = await walk.episode()
    assert 0 <= mass <= 1 + 1e-12
    ids = [seen.attempt.id for seen in path]
    assert len(ids) == len(set(ids)) <= GRANT.attempts
    assert [seen.attempt.index for seen in path] == list(range(len(path)))
    by_id = {node.id: node for node in some}
    assert all(by_id[id].parent is None or by_id[id].parent in ids for id in ids)
    assert (await walk.episode()) == (mass, path)
    one = await walked(replay, TASK, asks(controller), walks=walks, seed=seed)
    assert one == await walked(replay, TASK, asks(controller), walks=walks, seed=seed)
    assert one is not None and 0 <= one.unsupported <= 1
    assert all(value is None or 0 <= value <= 1 for value in one.values.values())


async def test_where_all_is_supported_a_walk_has_no_missing_mass_and_asks_once_per_decision() -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []
    controller = controller_of(Candidate(components=controller_components(refine=True, steer={"none": 1.0})))
    rules = asks(controller)

    async def ask(policy: PolicyName, view: View) -> Weights:
        asked.append((policy, tuple(seen.attempt.id for seen in view.history)))
        return await rules(policy, view)

    replay = replay_of([Node("a"), Node("b", parent="a"), Node("c", correct=1.0, parent="b")])
    value = await walked(replay, TASK, ask, walks=1, seed=0)
    assert value is not None and value.unsupported == 0.0
    assert value.values["correct"] == 1.0
    assert len(asked) == len(set(asked)), "each policy once in each state of the episode"
    assert {path for _, path in asked} <= {(), ("a",), ("a", "b")}


def topology(weights: Mapping[str, float]) -> Candidate:
    components = controller_components(refine=True, steer={"none": 1.0})
    stop = rule_component([], {"continue": 1.0})
    return Candidate(components={**components, "stop": stop, "topology": rule_component([], weights)})


@pytest.mark.parametrize(
    ("weights", "some", "unsupported"),
    [
        ({"fanout_3": 1.0}, [Node("a"), Node("b")], 1.0),
        ({"fanout_3": 0.25, "fanout_2": 0.75}, [Node("a"), Node("b")], 1.0),  # a third one is never there
        ({"fanout_3": 0.25, "fanout_1": 0.75}, [Node("a"), Node("b"), Node("c")], 0.0),
    ],
)
async def test_fresh_attempts_that_were_not_recorded_are_missing(
    weights: Mapping[str, float], some: list[Node], unsupported: float
) -> None:
    controller = controller_of(topology(weights))
    replay = replay_of(some)
    exact = await replay.value(controller, TASK)
    value = await walked(replay, TASK, asks(controller), walks=3, seed=1)
    assert exact is not None and value is not None
    assert value.unsupported == pytest.approx(exact.unsupported) == pytest.approx(unsupported)
    assert (value.values["correct"] is None) == (unsupported == 1.0)


async def test_a_steer_that_was_never_recorded_ends_the_walk_without_mass() -> None:
    controller = controller_of(
        Candidate(components={**topology({"refine_last": 1.0}).components, "steer": rule_component([], {"pump": 1.0})})
    )
    value = await walked(replay_of([Node("a"), Node("b", parent="a")]), TASK, asks(controller), walks=2, seed=1)
    assert value is not None
    assert (value.unsupported, set(value.values.values())) == (1.0, {None})


async def test_a_task_without_a_tree_has_no_value() -> None:
    replay = TreeReplay({}, NoObserver(), OBJECTIVES, GRANT)
    assert await walked(replay, TASK, asks(controller_of(CANDIDATE)), walks=1, seed=0) is None


async def test_a_program_may_want_no_attempt_at_all() -> None:
    idle = controller_of(program_candidate("async def strategy(ctx):\n    return\n"))
    replay = replay_of(nodes(random.Random(3)))
    value = await walked(replay, TASK, asks(idle), walks=2, seed=1, begins_with_stop=idle.begins_with_stop)
    assert value is not None
    assert (value.values, value.unsupported) == (dict.fromkeys(value.values, 0.0), 0.0)


async def test_walks_of_a_program_are_those_of_the_rules_that_do_the_same() -> None:
    rules = Candidate(components=controller_components(refine=True, steer={"fan": 1.0}))
    replay = replay_of(nodes(random.Random(3)))
    one, other = controller_of(rules), controller_of(builtin.refine("fan"))
    found = [
        await walked(replay, TASK, asks(made), walks=5, seed=2, begins_with_stop=made.begins_with_stop)
        for made in (one, other)
    ]
    assert found[0] == found[1]
