"""Candidates on a log, against the policies themselves."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.arms import distribution
from controllers.policies import View, Weights
from controllers.policies.constant import ConstantPolicy
from controllers.policies.lm import LMPolicy
from controllers.policies.rule import Condition, Rule, RuleList, RulePolicy
from controllers.program import Controller, controller_of, rule_component
from controllers.programs import builtin
from controllers.scripted_engine import scripted_lm
from optimizers.episode_log import EpisodeLog, Floats, Option
from optimizers.features import episode_log, logged
from optimizers.replay.asking import Asking
from optimizers.replay.targets import target_of
from optimizers.replay.views import views_of
from signatures.errors import NoSupport, UsageError
from signatures.records import Task, Tier
from tests.worlds.lab import lamp_follower, steered, with_components
from tests.worlds.played import BEHAVIOUR, OBJECTIVES, TASKS, Plan, played

SMALL = Plan(tasks=12, floor=0.0)
PLAIN = Plan(tasks=40, repeats=10, floor=0.0)


def log_of(plan: Plan, *, each_round: bool = False) -> EpisodeLog:
    found = played(plan)
    return episode_log(found.tables, found.outcomes, OBJECTIVES, each_round=each_round)


def weights_N(log: EpisodeLog, probability_L: Floats) -> Floats:
    drawn = log.option_N_K >= 0
    ratio: Floats = np.where(drawn, probability_L[log.option_N_K] / log.propensity_N_K, 1.0).prod(axis=1)
    return ratio


async def test_on_policy_every_ratio_is_exactly_one() -> None:
    log = log_of(SMALL)
    target = await target_of(log, {"itself": controller_of(BEHAVIOUR)}, Asking())
    drawn = log.option_N_K >= 0
    assert (target.probability_L_C[log.option_N_K[drawn], 0] == log.propensity_N_K[drawn]).all()
    assert target.unknown == ((),)


async def test_what_was_not_asked_is_filled_in_as_the_controller_would_have_answered() -> None:
    log = log_of(PLAIN)
    target = await target_of(log, {"itself": controller_of(BEHAVIOUR)}, Asking())
    own_L = target.probability_L_C[:, 0]
    assert np.bincount(log.state_L, own_L) == pytest.approx(np.ones(len(log.features_S_F)))
    drawn = log.option_N_K[log.option_N_K >= 0]
    visits_S = np.bincount(log.state_L[drawn], minlength=len(log.features_S_F))
    visits_L = visits_S[log.state_L]
    assert not own_L[(log.behaviour_L == 0) & (own_L > 1e-12)].size  # on its own record nothing is unsupported
    guessed_L = np.where(own_L == 0, log.behaviour_L, 0.0)
    assert (guessed_L * visits_L).sum() / visits_S.sum() < 0.03  # possible elsewhere, not here
    assert (
        np.isclose(log.behaviour_L, own_L, atol=1e-12) * visits_L
    ).sum() / visits_L.sum() > 0.7  # most states are rare here


async def test_weights_of_another_candidate_average_to_one() -> None:
    log = log_of(Plan(repeats=12))
    milder = with_components(
        stop=rule_component([], {"continue": 2.0, "done": 1.0}),
        topology=rule_component([], {"refine_last": 3.0, "fanout_1": 2.0, "fanout_2": 1.0}),
        steer=rule_component([], {"fan": 2.0, "pump": 1.0, "none": 1.0}),
    )
    target = await target_of(log, {"milder": controller_of(milder)}, Asking())
    weight_N = weights_N(log, target.probability_L_C[:, 0])
    assert weight_N.std() > 0.3
    assert abs(weight_N.mean() - 1) < 3 * weight_N.std() / math.sqrt(log.n)


async def test_candidates_are_columns_in_their_order() -> None:
    log = log_of(SMALL)
    named = {"b": controller_of(lamp_follower()), "a": controller_of(steered("pump"))}
    both = await target_of(log, named, Asking())
    alone = await target_of(log, {"a": named["a"]}, Asking())
    assert both.names == ("b", "a")
    assert np.array_equal(both.probability_L_C[:, 1], alone.probability_L_C[:, 0])


def policies(log: EpisodeLog) -> st.SearchStrategy[RuleList]:
    actions = ["continue", "done", "refine_last", "refine_best", "fanout_1", "fanout_2", "fan", "none", "absent"]
    weights = st.dictionaries(st.sampled_from(actions), st.sampled_from([0.0, 1.0, 2.5]), min_size=1)
    values = sorted({0.0, *log.features_S_F[~np.isnan(log.features_S_F)].tolist()})
    conditions = st.builds(
        Condition,
        feature=st.sampled_from([*log.features, "nobody.saw"]),
        op=st.sampled_from(["<=", ">"]),
        value=st.sampled_from(values),
    )
    rules = st.builds(Rule, when=st.lists(conditions, max_size=2).map(tuple), then=weights)
    return st.builds(RuleList, rules=st.lists(rules, max_size=4).map(tuple), otherwise=weights)


async def by_hand(log: EpisodeLog, controller: Controller) -> list[float]:
    """Each option's probability by asking the policies themselves, state by state."""
    found: list[float] = []

    async def chances(name: str, features: dict[str, float], legal: Sequence[str]) -> dict[str, float]:
        view = View(Task(digest="", benchmark="", prompt=""), features, tuple(legal))
        answer = await controller.policies[name].decide(view)  # type: ignore[index]  # one of the three names
        return distribution(answer.weights, legal)

    for state in range(len(log.features_S_F)):
        options = [log.actions[a] for a in log.action_L[log.state_L == state]]
        row = dict(zip(log.features, log.features_S_F[state].tolist(), strict=True))
        features = {name: value for name, value in row.items() if not math.isnan(value)}
        legal = [tuple(dict.fromkeys(o[p] for o in options if o[p] is not None)) for p in range(3)]
        given = [
            await chances(name, features, legal[p]) if legal[p] else {}
            for p, name in enumerate(("stop", "topology", "steer"))
        ]
        found.extend(math.prod(given[p][a] for p in range(3) if (a := o[p]) is not None) for o in options)
    return found


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_decision_lists_give_what_the_policies_themselves_give(data: st.DataObject) -> None:
    log = log_of(Plan(tasks=5, repeats=2, floor=0.0))
    lists = [data.draw(policies(log)) for _ in range(3)]
    stop, topology, steer = (RulePolicy(one) for one in lists)
    controller = Controller(stop=stop, topology=topology, steer=steer)
    target = asyncio.run(target_of(log, {"c": controller}, Asking()))
    assert target.probability_L_C[:, 0].tolist() == pytest.approx(asyncio.run(by_hand(log, controller)), abs=1e-15)


async def test_a_constant_is_a_list_without_rules() -> None:
    log = log_of(SMALL)
    made = [{"continue": 1.0}, {"refine_last": 1.0, "fanout_1": 2.0}, {"none": 1.0, "fan": 3.0}]
    constant = Controller(stop=ConstantPolicy(made[0]), topology=ConstantPolicy(made[1]), steer=ConstantPolicy(made[2]))
    rule = controller_of(constant.candidate)
    target = await target_of(log, {"constant": constant, "rule": rule}, Asking())
    assert np.array_equal(target.probability_L_C[:, 0], target.probability_L_C[:, 1])


class Alternating:
    """A rule of the user's own: it is asked."""

    tier: Tier = "rule"
    text = '{"own":1}'

    async def decide(self, view: View) -> Weights:
        return Weights({view.legal[int(view.features.get("attempts", 0)) % len(view.legal)]: 1.0})


async def test_a_policy_of_the_users_own_is_asked_in_each_state() -> None:
    log = log_of(SMALL)
    base = controller_of(BEHAVIOUR).policies
    controller = Controller(stop=base["stop"], topology=Alternating(), steer=base["steer"])
    target = await target_of(log, {"own": controller}, Asking())
    assert target.probability_L_C[:, 0].tolist() == pytest.approx(await by_hand(log, controller), abs=1e-15)


async def test_steers_that_no_state_offers_are_named_where_the_candidate_refines() -> None:
    log = log_of(SMALL)
    absent = {"elsewhere": 1.0, "fan": 1.0, "never": 0.0}
    ruled = rule_component([{"when": [], "then": {"nowhere": 1.0}}], absent)
    named = {
        "refines": controller_of(with_components(steer=ruled)),
        "fresh": controller_of(with_components(steer=ruled, topology=rule_component([], {"fanout_1": 1.0}))),
        "known": controller_of(steered("core")),
    }
    target = await target_of(log, named, Asking())
    assert target.unknown == (("elsewhere", "nowhere"), (), ())


async def test_an_option_whose_steer_is_not_known_gets_the_whole_refine() -> None:
    log = EpisodeLog(
        objectives=("correct",),
        tasks=("t",),
        features=("attempts",),
        actions=(Option("continue", "refine_last"), Option("continue", "fanout_1"), Option("done")),
        task_N=np.zeros(1, np.int32),
        option_N_K=np.array([[1]], np.int32),
        propensity_N_K=np.array([[0.5]]),
        rewards_N_K_M=np.zeros((1, 1, 1)),
        state_L=np.zeros(3, np.int32),
        action_L=np.array([0, 1, 2], np.int32),
        behaviour_L=np.array([0.0, 0.5, 0.5]),
        features_S_F=np.array([[1.0]]),
    )
    candidate = with_components(
        stop=rule_component([], {"continue": 3.0, "done": 1.0}), topology=rule_component([], {"refine_last": 1.0})
    )
    target = await target_of(log, {"c": controller_of(candidate)}, Asking())
    assert target.probability_L_C[:, 0].tolist() == [0.75, 0.0, 0.25]
    assert target.unknown == (("none",),)


async def test_a_model_is_asked_once_per_distinct_input_with_what_it_would_have_seen() -> None:
    found = played(Plan(tasks=4, repeats=2, floor=0.0))
    log, ids = made = logged(found.tables, found.outcomes, OBJECTIVES, each_round=True)
    lm, engine = scripted_lm(
        lambda prompt: "[[ ## action ## ]]\nfan\n[[ ## confidence ## ]]\n0.75\n[[ ## completed ## ]]"
    )
    base = controller_of(BEHAVIOUR).policies
    model = Controller(stop=base["stop"], topology=base["topology"], steer=LMPolicy("steer", lm))
    views = await views_of(found.corpus, made, TASKS)
    with Asking() as ask:
        target = await target_of(log, {"a": model, "again": model}, ask, views=views)
    assert ask.calls == len(engine.prompts) == len(set(engine.prompts)) > 0
    assert ask.saved >= ask.calls
    assert np.array_equal(target.probability_L_C[:, 0], target.probability_L_C[:, 1])
    prompts = {TASKS[n].prompt for n in range(4)}
    assert all(any(prompt in asked for prompt in prompts) for asked in engine.prompts)
    options = [log.actions[a] for a in log.action_L]
    shares = {}
    for state, option, chance in zip(log.state_L, options, target.probability_L_C[:, 0], strict=True):
        if option.topology == "refine_last" and chance > 0:
            shares.setdefault(int(state), {})[option.steer] = chance
    assert shares
    for share in shares.values():
        assert share["fan"] / sum(share.values()) == pytest.approx(0.75)
    assert len(ids) == 8


async def test_a_model_is_not_asked_where_no_episode_of_the_log_was() -> None:
    found = played(Plan(tasks=4, repeats=2, floor=0.0))
    made = logged(found.tables, found.outcomes, OBJECTIVES, each_round=True)
    some = made._replace(log=made.log.take([1, 4]), episode_ids=(made.episode_ids[1], made.episode_ids[4]))
    lm, engine = scripted_lm(lambda prompt: "no answer that parses")
    model = Controller(stop=LMPolicy("stop", lm), topology=LMPolicy("topology", lm), steer=LMPolicy("steer", lm))
    target = await target_of(some.log, {"m": model}, Asking(), views=await views_of(found.corpus, some, TASKS))
    visited = set(some.log.state_L[some.log.option_N_K[some.log.option_N_K >= 0]].tolist())
    assert 0 < len(engine.prompts) <= 3 * len(visited)
    sums = np.bincount(some.log.state_L, target.probability_L_C[:, 0])
    for state, whole in enumerate(sums):
        assert whole == pytest.approx(1.0 if state in visited else 0.0)


async def test_a_model_without_views_is_refused_by_name() -> None:
    lm, _ = scripted_lm(lambda prompt: "")
    base = controller_of(BEHAVIOUR).policies
    model = Controller(stop=LMPolicy("stop", lm), topology=base["topology"], steer=base["steer"])
    with pytest.raises(UsageError, match=r"mine: stop asks a model.*views"):
        await target_of(log_of(SMALL), {"mine": model}, Asking())


async def test_no_candidates_and_no_episodes_are_no_columns_and_no_rows() -> None:
    found = played(SMALL)
    empty = episode_log(found.tables, found.outcomes, OBJECTIVES, split="dev")
    assert (await target_of(empty, {"c": controller_of(BEHAVIOUR)}, Asking())).probability_L_C.shape == (0, 1)
    assert (await target_of(log_of(SMALL), {}, Asking())).names == ()


async def test_a_log_of_draws_does_not_tell_what_a_program_would_do() -> None:
    named = {"itself": controller_of(BEHAVIOUR), "p": controller_of(builtin.sample())}
    with pytest.raises(NoSupport, match="p: a log of draws does not tell what a strategy program would do"):
        await target_of(log_of(SMALL), named, Asking())
