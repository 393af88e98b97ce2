"""Which episodes have every draw on record, and what each round is made of."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from optimizers.logs.rounds import (
    STEER,
    STOP,
    TOPOLOGY,
    Record,
    incomplete,
    infrastructure,
    record_of,
    rounds_of,
    unrecorded,
)
from optimizers.logs.tabled import Tables
from tests.worlds.played import Plan, Played, played

PLANS = (Plan(tasks=10), Plan(tasks=10, steers=("pump",)), Plan(tasks=10, attempts=4, turns=10, each=None))


def changed(found: Played, kind: str, name: str, row: int, value: object) -> Tables:
    """The tables with one value changed."""
    table = getattr(found.tables, kind)
    values = table[name].to_pylist()
    values[row] = value
    made = pa.array(values, table.schema.field(name).type)
    return found.tables._replace(**{kind: table.set_column(table.column_names.index(name), name, made)})


def record(found: Played) -> Record:
    return record_of(found.tables, "search")


@pytest.mark.parametrize("plan", PLANS)
def test_rounds_are_those_that_were_played(plan: Plan) -> None:
    found = played(plan)
    made = record(found)
    rounds = rounds_of(made)
    assert not (infrastructure(made) | incomplete(made) | unrecorded(made)).any()
    ids, decisions = found.tables.attempts["id"].to_pylist(), found.tables.decisions["id"].to_pylist()
    for n, rollout in enumerate(found.rollouts.values()):
        rows = np.flatnonzero(rounds.episode_R == n)
        assert rounds.round_R[rows].tolist() == list(range(len(rows)))
        drawn = [d for row in rows for d in rounds.decision_R_P[row] if d >= 0]
        assert tuple(decisions[made.decisions.row_D[d]] for d in drawn) == rollout.episode.decision_ids
        for k, row in enumerate(rows):
            launched = [seen.attempt.id for seen in rollout.history if seen.attempt.round == k]
            first = rounds.attempt_R[row]
            assert (ids[made.attempts.row_B[first]] == launched[0]) if launched else first == -1
            assert made.attempts_N_K[n, k] == sum(seen.attempt.round <= k for seen in rollout.history)


@pytest.mark.parametrize("plan", PLANS)
def test_taking_episodes_keeps_what_is_theirs(plan: Plan) -> None:
    found = played(plan)
    whole = record(found)
    kept = np.arange(whole.n) % 3 == 1
    some, rounds, all_rounds = whole.take(kept), rounds_of(whole.take(kept)), rounds_of(whole)
    assert some.rounds_N.tolist() == whole.rounds_N[kept].tolist()
    theirs = kept[all_rounds.episode_R]
    for ours, before in ((rounds.decision_R_P[:, STOP], all_rounds.decision_R_P[theirs, STOP]),):
        steps = np.append(some.decisions.row_D, -1)[ours]
        assert steps.tolist() == np.append(whole.decisions.row_D, -1)[before].tolist()
    parents = some.attempts.row_B[some.attempts.parent_B[some.attempts.parent_B >= 0]]
    before = whole.attempts.row_B[
        whole.attempts.parent_B[kept[whole.attempts.episode_B] & (whole.attempts.parent_B >= 0)]
    ]
    assert parents.tolist() == before.tolist()


def test_each_policy_has_its_column() -> None:
    found = played(PLANS[0])
    made = record(found)
    rounds = rounds_of(made)
    for policy, column in ((STOP, "stop"), (TOPOLOGY, "topology"), (STEER, "steer")):
        rows = rounds.decision_R_P[:, policy]
        names = found.tables.decisions["policy"].to_pylist()
        assert {names[made.decisions.row_D[d]] for d in rows if d >= 0} == {column}


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("step", 0, 5),
        ("step", 3, 0),
        ("policy", 1, "topology"),
        ("action", 0, "not legal"),
        ("action", 1, "done"),
        ("episode_id", 2, "nobody"),
    ],
)
def test_draws_in_an_order_that_no_episode_has_are_no_record(name: str, row: int, value: object) -> None:
    found = played(PLANS[0])
    first = next(n for n, r in enumerate(found.rollouts.values()) if len(r.episode.decision_ids) > 3)
    episode = list(found.rollouts)[first]
    rows = [n for n, id in enumerate(found.tables.decisions["episode_id"].to_pylist()) if id == episode]
    steps = found.tables.decisions["step"].to_pylist()
    rows.sort(key=lambda n: steps[n])
    bad = unrecorded(record_of(changed(found, "decisions", name, rows[row], value), "search"))
    assert np.flatnonzero(bad).tolist() == [first]


def without_draws(found: Played) -> Played:
    """The episodes as if nothing had been drawn in them."""
    empty = pa.array([[]] * found.tables.episodes.num_rows, pa.list_(pa.string()))
    episodes = found.tables.episodes
    episodes = episodes.set_column(episodes.column_names.index("decisions"), "decisions", empty)
    return found._replace(tables=found.tables._replace(decisions=found.tables.decisions.slice(0, 0), episodes=episodes))


def test_attempts_after_which_nothing_was_drawn_have_no_propensities() -> None:
    found = played(PLANS[0])
    assert unrecorded(record(without_draws(found))).all()


def test_one_attempt_that_was_all_there_was_needs_no_draw() -> None:
    assert not unrecorded(record(played(Plan(tasks=3, attempts=1, turns=None, each=3)))).any()
    assert not unrecorded(record(played(Plan(tasks=3, attempts=1, turns=3)))).any()
    # the only attempt may take all turns, or a second one is possible
    limited = played(Plan(tasks=6, attempts=3, turns=3, each=None))
    made = record(limited)
    single = made.attempts_N_K[:, -1] == 1
    assert single.any()
    assert not unrecorded(made).any()
    assert (~unrecorded(record(without_draws(limited))))[single].any()


def test_a_first_round_with_a_choice_and_no_draw_is_no_record() -> None:
    found = played(Plan(tasks=3, attempts=1, turns=None, each=3))
    granted = pa.array([3] * found.tables.episodes.num_rows)
    episodes = found.tables.episodes
    episodes = episodes.set_column(episodes.column_names.index("granted_attempts"), "granted_attempts", granted)
    assert unrecorded(record_of(found.tables._replace(episodes=episodes), "search")).all()


def test_what_infrastructure_ended_and_what_is_missing_is_seen() -> None:
    found = played(PLANS[0])
    episode = found.tables.attempts["episode_id"].to_pylist()[4]
    place = list(found.rollouts).index(episode)
    broken = record_of(changed(found, "attempts", "outcome", 4, "infra_error"), "search")
    assert np.flatnonzero(infrastructure(broken)).tolist() == [place]
    failed = record_of(changed(found, "episodes", "failed", 2, True), "search")
    assert np.flatnonzero(infrastructure(failed)).tolist() == [2]
    kept = pc.invert(pc.equal(pa.array(range(found.tables.attempts.num_rows)), 4))
    cut = record_of(found.tables._replace(attempts=found.tables.attempts.filter(kept)), "search")
    assert np.flatnonzero(incomplete(cut)).tolist() == [place]
    skipped = record_of(changed(found, "attempts", "round", 4, 7), "search")
    assert np.flatnonzero(incomplete(skipped)).tolist() == [place]
