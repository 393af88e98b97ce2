"""States hold what was known before a draw: nothing in them tells what was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.logs.rounds import record_of, rounds_of
from optimizers.logs.states import States, states_of
from tests.worlds.played import Plan, Played, played

PLANS = (Plan(), Plan(tasks=12, floor=0.0), Plan(tasks=12, steers=("pump",)), Plan(tasks=12, attempts=1, turns=3))


def made(found: Played, *, each_round: bool = False) -> States:
    record = record_of(found.tables, "search")
    return states_of(record, rounds_of(record), each_round=each_round)


@pytest.mark.parametrize("plan", PLANS)
def test_an_option_has_the_probability_it_was_drawn_with(plan: Plan) -> None:
    states = made(played(plan))
    assert (states.behaviour_L[states.option_R] == states.propensity_R).all()
    assert states.features_S_F.shape == (states.state_L[-1] + 1, len(states.features))
    assert np.bincount(states.state_L, states.behaviour_L) == pytest.approx(np.ones(len(states.features_S_F)))


@pytest.mark.parametrize("plan", PLANS)
def test_no_state_lists_an_option_twice(plan: Plan) -> None:
    states = made(played(plan))
    pairs = list(zip(states.state_L.tolist(), states.action_L.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert len(set(states.actions)) == len(states.actions)


def test_rounds_of_one_state_differ_in_what_was_drawn_and_in_nothing_before_it() -> None:
    found = played(PLANS[0])
    states = made(found)
    state_R = states.state_L[states.option_R]
    several = [s for s in np.unique(state_R) if len(np.unique(states.option_R[state_R == s])) > 1]
    assert len(several) > 10
    stopped = {
        s for s, o in zip(state_R, states.option_R, strict=True) if states.actions[states.action_L[o]][0] == "done"
    }
    went_on = {
        s for s, o in zip(state_R, states.option_R, strict=True) if states.actions[states.action_L[o]][0] == "continue"
    }
    assert stopped & went_on  # a round that stopped is in the same state as one that did not


def test_distinct_states_differ() -> None:
    states = made(played(PLANS[0]))
    whole = [
        (
            row.tobytes(),
            states.action_L[states.state_L == s].tobytes(),
            states.behaviour_L[states.state_L == s].tobytes(),
        )
        for s, row in enumerate(states.features_S_F)
    ]
    assert len(set(whole)) == len(whole)


def test_a_forced_round_saw_nothing_and_had_one_option() -> None:
    states = made(played(PLANS[3]))
    assert [tuple(option) for option in states.actions] == [(None, "fanout_1", None)]
    assert states.behaviour_L.tolist() == [1.0]
    assert np.isnan(states.features_S_F).all()


def test_a_steer_without_an_alternative_is_in_every_refine() -> None:
    states = made(played(PLANS[2]))
    refines = {option.steer for option in states.actions if (option.topology or "").startswith("refine_")}
    assert refines == {"pump"}


def test_where_nobody_ever_refined_a_refine_is_listed_and_not_possible() -> None:
    found = played(Plan(tasks=10, floor=0.0))
    fresh = [id for id, r in found.rollouts.items() if all(seen.attempt.parent_id is None for seen in r.history)]
    keep = np.array([id in fresh for id in found.tables.episodes["id"].to_pylist()])
    record = record_of(found.tables._replace(episodes=found.tables.episodes.filter(keep)), "search")
    states = states_of(record, rounds_of(record))
    unknown_L = np.array([(o.topology or "").startswith("refine_") and o.steer is None for o in states.actions])[
        states.action_L
    ]
    assert unknown_L.any()
    assert (states.behaviour_L[unknown_L] == 0).all()


def test_each_round_may_be_a_state() -> None:
    states = made(played(PLANS[1]), each_round=True)
    assert states.state_L[states.option_R].tolist() == list(range(len(states.option_R)))
