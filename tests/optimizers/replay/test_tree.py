"""Exact tree replay against the closed form, trees worked out by hand, and episodes really played on the tree."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.baselines import control_arms, controller_components
from controllers.corpus import MemoryCorpus
from controllers.loop import run_episode
from controllers.observe import NoObserver
from controllers.program import controller_of, program_candidate, rule_component
from controllers.programs import builtin
from controllers.spec import EpisodeSpec, Parts
from controllers.steers import FixedSteer, NoSteer
from optimizers.replay.closed_form import random_at_k
from optimizers.replay.tree import Replayed, Tree, TreeReplay
from optimizers.scoring import episode_values
from optimizers.setup import Grant
from signatures.errors import ProgramFault
from signatures.records import Candidate, Directive
from tests.worlds.recorded import OBJECTIVES, TASK, Drawing, Node, Reading, tree_of

NEVER_STOP = rule_component([], {"continue": 1.0})


def replayed(nodes: Sequence[Node] | Tree, candidate: Candidate, grant: Grant) -> Replayed:
    tree = nodes if isinstance(nodes, Tree) else tree_of(nodes)
    replay = TreeReplay({TASK.digest: tree}, NoObserver(), OBJECTIVES, grant)
    value = asyncio.run(replay.value(controller_of(candidate), TASK))
    assert value is not None
    return value


def random_arm(k: int) -> tuple[Candidate, Grant]:
    arm = control_arms(k, None, (), placebo=False)[0]
    assert arm.name == f"random@{k}"
    return arm.candidate, Grant(k, None, arm.steer_legal)


def refining(steer: Mapping[str, float], *, stop: str | None = None) -> Candidate:
    components = controller_components(refine=True, steer=steer)
    return Candidate(components=components if stop is None else {**components, "stop": stop})


@settings(max_examples=60, deadline=None)
@given(counts=st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, min(n, 4)))))
def test_random_at_k_has_the_closed_form(counts: tuple[int, int, int]) -> None:
    n, c, k = counts
    nodes = [Node(f"a{i}", correct=float(i < c)) for i in range(n)]
    value = replayed(nodes, *random_arm(k))
    assert value.supported
    assert value.values["correct"] == pytest.approx(random_at_k(n, c, k), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(counts=st.integers(1, 6).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, min(n, 4)))))
def test_k_attempts_fanned_out_at_once_have_the_closed_form_too(counts: tuple[int, int, int]) -> None:
    n, c, k = counts
    nodes = [Node(f"a{i}", correct=float(i < c)) for i in range(n)]
    components = controller_components(refine=False, steer={"none": 1.0})
    candidate = Candidate(components={**components, "topology": rule_component([], {f"fanout_{k}": 1.0})})
    value = replayed(nodes, candidate, Grant(k, None, ("none",)))
    assert value.supported
    assert value.values["correct"] == pytest.approx(random_at_k(n, c, k), abs=1e-9)


@pytest.mark.parametrize(("passes", "unsupported"), [(0, 1.0), (1, 0.0), (2, 0.0)])
def test_more_attempts_than_recorded_are_unsupported_where_none_of_them_stops(passes: int, unsupported: float) -> None:
    value = replayed([Node(f"a{i}", correct=float(i < passes)) for i in range(2)], *random_arm(3))
    assert value.unsupported == pytest.approx(unsupported, abs=1e-12)
    assert value.values["correct"] == (None if unsupported else pytest.approx(1.0))


# Root `a` fails and is refined, root `b` passes at once. `pump` was never tried on `a`; the judge refuses `d`.
BY_HAND = (
    Node("a", correct=0.5, turns=4),
    Node("b", correct=1.0, turns=2),
    Node("c1", correct=1.0, parent="a", turns=3),
    Node("c2", correct=0.0, parent="a", turns=5),
    Node("d", correct=1.0, judged=0.0, parent="a", action="fan", turns=1),
)
STEER = {"none": 0.5, "fan": 0.25, "pump": 0.25}


def test_refinement_against_a_tree_worked_out_by_hand() -> None:
    value = replayed(BY_HAND, refining(STEER), Grant(2, None, tuple(STEER)))
    assert value.unsupported == 1 / 2 * 1 / 4
    assert not value.supported
    # b: .5 x 1, a-c1: .125 x 1, a-c2: .125 x judge of a (the best by checkers), a-d: .125 x 0; .875 is supported
    assert value.values["correct"] == pytest.approx((0.5 + 0.125 + 0.125 * 0.5) / 0.875, abs=1e-12)
    turns = (0.5 * 2 + 0.125 * 7 + 0.125 * 9 + 0.125 * 5) / 0.875
    assert value.values["fast"] == pytest.approx(1 - turns / 20, abs=1e-12)
    on_lineage = (0.5 * 2 + 0.125 * 7 + 0.125 * 4 + 0.125 * 5) / 0.875
    assert value.values["cheap"] == pytest.approx(1 - on_lineage / 20, abs=1e-12)
    assert (value.used.attempts, value.used.turns) == (round(1.25 / 0.875), round(turns))


def test_turns_left_end_an_episode_as_they_do_in_the_loop() -> None:
    """Two attempts of 3 turns are granted; an attempt of 6 used up both."""
    nodes = [Node("a", turns=6), Node("b", turns=3), Node("c", correct=1.0, parent="b", turns=3)]
    value = replayed(nodes, refining({"none": 1.0}, stop=NEVER_STOP), Grant(2, 3, ("none",)))
    assert value.supported
    assert value.values["correct"] == pytest.approx(0.5)


def test_infrastructure_failures_are_not_in_the_tree() -> None:
    clean = [Node("a", correct=0.5), Node("b", correct=1.0), Node("c", correct=1.0, parent="a")]
    broken = [Node("x", infra=True), *clean, Node("y", parent="a", infra=True)]
    for candidate, grant in (random_arm(2), (refining({"none": 1.0}), Grant(2, None, ("none",)))):
        assert replayed(clean, candidate, grant) == replayed(broken, candidate, grant)
    assert replayed([Node("x", infra=True)], *random_arm(1)).unsupported == 1.0


def test_of_equal_attempts_the_earlier_drawn_is_selected_not_the_earlier_recorded() -> None:
    nodes = [Node("a", correct=0.5, judged=0.0), Node("b", correct=0.5, judged=1.0)]
    assert replayed(nodes, *random_arm(2)).values["correct"] == pytest.approx(0.5)


STOCHASTIC = Candidate(
    components={
        "stop": rule_component(
            [{"when": [{"feature": "passed", "op": ">", "value": 0.5}], "then": {"done": 0.8, "continue": 0.2}}],
            {"continue": 0.7, "done": 0.3},
        ),
        "topology": rule_component(
            [
                {
                    "when": [{"feature": "attempts", "op": ">", "value": 1.5}],
                    "then": {"refine_best": 0.8, "fanout_1": 0.2},
                }
            ],
            {"refine_last": 0.5, "fanout_1": 0.3, "fanout_2": 0.2},
        ),
        "steer": rule_component(
            [{"when": [{"feature": "correct", "op": ">", "value": 0.4}], "then": {"fan": 0.9, "none": 0.1}}],
            {"none": 0.6, "fan": 0.4},
        ),
    }
)
GRANT = Grant(3, None, ("none", "fan"))


def grown(rng: random.Random, *, children: int = 2) -> list[Node]:
    """Four roots, `children` under each action on two levels: all that three attempts can ask for."""

    def node(id: str, parent: str | None, action: str) -> Node:
        correct, judged = rng.choice((0.0, 0.25, 0.5, 1.0)), rng.choice((0.0, 1.0))
        return Node(id, correct=correct, judged=judged, parent=parent, action=action, turns=rng.randint(1, 4))

    nodes = [node(f"r{i}", None, "none") for i in range(4)]
    level = nodes[:]
    for _ in range(2):
        level = [
            node(f"{up.id}{action[0]}{i}", up.id, action)
            for up in level
            for action in ("none", "fan")
            for i in range(children)
        ]
        nodes += level
    return nodes


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_the_order_of_the_recorded_attempts_changes_nothing(seed: int, data: st.DataObject) -> None:
    nodes = grown(random.Random(seed), children=1)
    first = replayed(nodes, STOCHASTIC, GRANT)
    second = replayed(data.draw(st.permutations(nodes)), STOCHASTIC, GRANT)
    assert second.unsupported == pytest.approx(first.unsupported, abs=1e-12)
    for name, value in first.values.items():
        assert second.values[name] == pytest.approx(value, abs=1e-12)


async def played(nodes: Sequence[Node], tree: Tree, seed: int) -> dict[str, float | None]:
    """One episode of the real loop whose worker draws from the tree."""
    by_id = {node.id: node for node in nodes}
    parts = Parts(
        controller=controller_of(STOCHASTIC),
        worker=Drawing(nodes),
        checkers=[Reading(by_id, objective.name) for objective in OBJECTIVES],
        steers={"none": NoSteer(), "fan": FixedSteer(Directive(action="fan", text="fan"), NoObserver())},
        observer=NoObserver(),
        corpus=MemoryCorpus(),
    )
    spec = EpisodeSpec(
        task=TASK, split="search", condition="c", seed=seed, granted=GRANT.amounts, steer_legal=GRANT.steer_legal
    )
    rollout = await run_episode(spec, parts)
    selected = rollout.episode.selected_id
    assert rollout.output is not None and selected is not None
    return episode_values(rollout.history, selected, tree.verdicts[rollout.output], OBJECTIVES)


async def test_a_stochastic_policy_is_worth_the_long_run_mean_of_played_episodes() -> None:
    nodes = grown(random.Random(3))
    tree, n = tree_of(nodes), 1500
    replay = TreeReplay({TASK.digest: tree}, NoObserver(), OBJECTIVES, GRANT)
    exact = await replay.value(controller_of(STOCHASTIC), TASK)
    assert exact is not None and exact.supported
    walks = [await played(nodes, tree, seed) for seed in range(n)]
    for name, value in exact.values.items():
        drawn = [walk[name] or 0.0 for walk in walks]
        mean = math.fsum(drawn) / n
        error = math.sqrt(math.fsum((x - mean) ** 2 for x in drawn) / n**2)
        assert error > 0
        assert abs(mean - (value or 0.0)) < 3.5 * error, name


def test_a_verdict_that_could_not_be_had_is_not_a_zero() -> None:
    tree = tree_of(BY_HAND)
    tree = Tree(tree.history, {**tree.verdicts, "b": None})
    value = replayed(tree, refining({"none": 1.0}), Grant(2, None, ("none",)))
    assert value.values["correct"] is None
    assert value.values["fast"] is not None


async def test_a_task_without_a_tree_has_no_value() -> None:
    replay = TreeReplay({}, NoObserver(), OBJECTIVES, GRANT)
    assert await replay.value(controller_of(STOCHASTIC), TASK) is None
    assert replay.moves(TASK.digest) == []


def test_the_moves_of_a_tree_show_what_happened() -> None:
    replay = TreeReplay({TASK.digest: tree_of(BY_HAND)}, NoObserver(), OBJECTIVES, GRANT)
    steers = [(m.action, m.gain, m.turns) for m in replay.moves(TASK.digest) if m.policy == "steer"]
    assert steers == [("none", 0.5, 3), ("none", -0.5, 5), ("fan", 0.5, 1)]
    assert all(m.before and m.observed for m in replay.moves(TASK.digest))


def test_a_program_that_attempts_nothing_earns_nothing() -> None:
    """Not even as the cheapest."""
    idle = program_candidate("async def strategy(ctx):\n    return\n")
    value = replayed([Node("a", correct=1.0)], idle, Grant(3, None, ("none",)))
    assert (value.values, value.unsupported, value.used.attempts) == (dict.fromkeys(value.values, 0.0), 0.0, 0)


def test_a_program_is_replayed_exactly_like_rules() -> None:
    nodes = [Node("a", 0.5), Node("b", 1.0), Node("c", 0.2, parent="a"), Node("d", 1.0, parent="a", action="fan")]
    grant = Grant(2, None, ("none", "fan"))
    rules, program = replayed(nodes, refining({"fan": 1.0}), grant), replayed(nodes, builtin.refine("fan"), grant)
    assert rules == program and rules.supported


def test_a_fault_of_a_program_is_raised_and_no_value() -> None:
    wrong = program_candidate('async def strategy(ctx):\n    shot = await ctx.shot(start="last", steer="sing")\n')
    with pytest.raises(ProgramFault, match="no legal action"):
        replayed([Node("a")], wrong, Grant(2, None, ("none",)))
