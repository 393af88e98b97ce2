"""Behaviour: equal digests are equal weights in every recorded state, and what a model decides has none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.arms import distribution
from controllers.baselines import seed_candidate
from controllers.moves import STOP
from controllers.observe import NoObserver
from controllers.policies import View, Weights
from controllers.policies.rule import RulePolicy, parse_rules
from controllers.program import NAMES, Controller, lm_component, program_candidate, rule_component
from controllers.scripted_engine import scripted_lm
from optimizers.behaviour import Behaviour, State, states_of
from optimizers.replay.tree import TreeReplay
from optimizers.setup import Grant
from signatures.errors import UsageError
from signatures.records import Candidate, PolicyName, Tier
from tests.worlds.lab import STEERS, Lab, lamp_follower, with_components
from tests.worlds.recorded import OBJECTIVES, TASK, Node, tree_of

LEGAL: Mapping[PolicyName, tuple[tuple[str, ...], ...]] = {
    "stop": (STOP,),
    "topology": (("fanout_1", "fanout_2"), ("refine_last", "fanout_1"), ("refine_last", "refine_best", "fanout_1")),
    "steer": (("none", "fan", "pump"),),
}
ACTIONS = {name: sorted({action for legal in LEGAL[name] for action in legal} | {"elsewhere"}) for name in NAMES}
FEATURES = ("a", "b")
HISTORY = tuple(tree_of([Node("x")]).history)


def states() -> st.SearchStrategy[list[State]]:
    numbers = st.dictionaries(st.sampled_from(FEATURES), st.sampled_from([0.0, 1.0, 2.0]))

    def one(name: PolicyName) -> st.SearchStrategy[State]:
        return st.builds(
            lambda features, legal: State(name, features, legal, TASK, HISTORY), numbers, st.sampled_from(LEGAL[name])
        )

    return st.lists(st.sampled_from(NAMES).flatmap(one), min_size=1, max_size=12)


def components() -> st.SearchStrategy[Candidate]:
    def of(name: PolicyName) -> st.SearchStrategy[str]:
        weights = st.dictionaries(st.sampled_from(ACTIONS[name]), st.sampled_from([0.0, 0.5, 1.0]), min_size=1)
        condition = st.fixed_dictionaries(
            {
                "feature": st.sampled_from((*FEATURES, "never seen")),
                "op": st.sampled_from(["<=", ">"]),
                "value": st.sampled_from([0.0, 0.5, 1.5]),
            }
        )
        rule = st.fixed_dictionaries({"when": st.lists(condition, max_size=2), "then": weights})
        return st.builds(rule_component, st.lists(rule, max_size=3), weights)

    return st.builds(
        lambda a, b, c: Candidate(components={"stop": a, "topology": b, "steer": c}), *(of(name) for name in NAMES)
    )


async def plain(candidate: Candidate, rows: list[State]) -> list[dict[str, float]]:
    """The same question, asked of the policies one state at a time."""
    policies = {name: RulePolicy(parse_rules(candidate.components[name])) for name in NAMES}
    told = []
    for state in rows:
        weights = (await policies[state.policy].decide(state.view)).weights
        told.append({a: round(p, 12) for a, p in distribution(weights, state.legal).items() if p > 0})
    return told


@settings(max_examples=80, deadline=None)
@given(rows=states(), one=components(), other=components())
def test_equal_digests_are_equal_weights_in_every_state(rows: list[State], one: Candidate, other: Candidate) -> None:
    async def compare() -> None:
        known = Behaviour(rows)
        same = await known.digest(one) == await known.digest(other)
        assert same == (await plain(one, rows) == await plain(other, rows))
        assert await known.digest(one) == await Behaviour(rows).digest(one)

    asyncio.run(compare())


@pytest.fixture
async def recorded(lab: Lab) -> tuple[State, ...]:
    tasks = lab.benchmark.tasks("search")[:4]
    return states_of(await lab.replay(tasks), tasks)


async def test_a_rule_that_never_holds_or_is_hidden_changes_no_behaviour(recorded: tuple[State, ...]) -> None:
    known = Behaviour(recorded)
    seed = await known.digest(seed_candidate())
    lit = {"feature": "planted.lit.fan", "op": ">", "value": 0.5}
    wide = {**lit, "value": 0.25}
    fan = {"then": {"fan": 1.0}}
    never = with_components(steer=rule_component([{"when": [{**lit, "value": 7.0}], **fan}], {"none": 1.0}))
    once = with_components(steer=rule_component([{"when": [lit], **fan}], {"none": 1.0}))
    twice = with_components(
        steer=rule_component([{"when": [wide], **fan}, {"when": [lit], "then": {"pump": 1.0}}], {"none": 1.0})
    )
    heavier = with_components(steer=rule_component([{"when": [lit], "then": {"fan": 3.0}}], {"none": 2.0}))
    assert await known.digest(never) == seed
    assert len({seed, await known.digest(once), await known.digest(lamp_follower())}) == 3
    assert await known.digest(once) == await known.digest(twice) == await known.digest(heavier)


class Noting:
    """A decision list that notes in which states it was asked."""

    tier: Tier = "rule"

    def __init__(self, name: str, text: str, asked: set[tuple[object, ...]]) -> None:
        self.text = text
        self._name, self._asked = name, asked
        self._rules = RulePolicy(parse_rules(text))

    async def decide(self, view: View) -> Weights:
        self._asked.add((self._name, view.legal, *sorted(view.features.items())))
        return await self._rules.decide(view)


async def test_every_state_that_exact_replay_asks_in_is_among_them(lab: Lab) -> None:
    tasks = lab.benchmark.tasks("search")[:2]
    replay = await lab.replay(tasks)
    found = {(s.policy, s.legal, *sorted(s.features.items())) for s in states_of(replay, tasks)}
    asked: set[tuple[object, ...]] = set()
    policies = {
        name: Noting(name, rule_component([], weights), asked)
        for name, weights in {
            "stop": {"continue": 0.5, "done": 0.5},
            "topology": {"refine_last": 0.0},
            "steer": dict.fromkeys(STEERS, 1.0),
        }.items()
    }
    for task in tasks:
        await replay.value(Controller(**policies), task)
    assert len(asked) > 50
    assert asked <= found
    before = [state for state in states_of(replay, tasks) if not state.history]
    assert {state.policy for state in before} == {"stop", "topology"}


def test_states_are_distinct_and_few_where_the_tasks_are_many() -> None:
    tree = tree_of([Node(f"r{n}", correct=n / 5) for n in range(5)])
    tasks = [TASK.model_copy(update={"digest": f"t{n}"}) for n in range(30)]
    replay = TreeReplay({t.digest: tree for t in tasks}, NoObserver(), OBJECTIVES, Grant(3, None, ("none", "fan")))
    found = states_of(replay, [*tasks, TASK])
    keys = [(s.policy, s.legal, *sorted(s.features.items())) for s in found]
    assert len(set(keys)) == len(keys)
    assert {state.task.digest for state in found} == {"t0"}, "the same situations in other tasks are the same states"


async def test_of_a_model_no_behaviour_is_known_and_nothing_is_asked(recorded: tuple[State, ...]) -> None:
    lm, engine = scripted_lm(lambda prompt: "")
    candidate = with_components(steer=lm_component("steer", lm))
    assert await Behaviour(recorded, lm).digest(candidate) is None
    assert await Behaviour(recorded).digest(candidate) is None
    assert engine.prompts == []


async def test_of_a_program_the_behaviour_is_what_it_does_after_recorded_attempts(lab: Lab) -> None:
    tasks = lab.benchmark.tasks("search")[:2]
    known = Behaviour(states_of(await lab.replay(tasks), tasks))
    once = "async def strategy(ctx):\n    shot = await ctx.shot()\n"
    programs = {
        "never": "async def strategy(ctx):\n    return\n",
        "once": once,
        "once in other words": once.replace("shot", "first").replace("ctx.first", "ctx.shot") + "    first = None\n",
        "twice": once + "    shot = await ctx.shot(start='last', steer='fan')\n",
        "twice, otherwise": once + "    shot = await ctx.shot(start='last', steer='pump')\n",
        "fails": once + "    x = 1 / 0\n",
    }
    told = {name: await known.digest(program_candidate(source)) for name, source in programs.items()}
    assert told["once"] == told["once in other words"] is not None
    assert told["fails"] is None
    assert len(set(told.values())) == 5
    assert await known.digest(seed_candidate()) not in told.values()


async def test_without_states_nothing_is_known() -> None:
    assert await Behaviour(()).digest(seed_candidate()) is None


async def test_what_does_not_load_is_the_callers_error(recorded: tuple[State, ...]) -> None:
    for text in ("no", json.dumps({"tier": "rule", "rules": 3})):
        with pytest.raises(UsageError):
            await Behaviour(recorded).digest(with_components(steer=text))
