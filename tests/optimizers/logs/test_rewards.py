"""Rewards and the running selection, against the selector and the scoring of live episodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.corpus.columns import table_of
from controllers.history import Seen
from controllers.selector import select
from optimizers.logs.rewards import check_names, rewards_of, unknown
from optimizers.logs.rounds import Record, record_of
from optimizers.logs.tabled import Tables
from optimizers.scoring import episode_values
from signatures.errors import UsageError
from signatures.records import Amounts, Attempt, CheckerResult, Cost, Episode, Objective, Steer, WorkerFingerprint

WORKER = WorkerFingerprint(name="w")
PRICE = Objective(name="price", unit="usd", worst=6.0, best=0.0, over="episode")
PATH = Objective(name="price", unit="usd", worst=6.0, best=-1.0, over="lineage")
JUDGED = Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge")

NODE = st.tuples(
    st.integers(0, 2),  # rounds later than the attempt before: 0 or 1 are used
    st.none() | st.sampled_from([0.0, 0.5, 1.0]),  # correct
    st.none() | st.sampled_from([0.1, 1.0, 2.0]),  # price
    st.none() | st.sampled_from([0.5, 1.0]),  # usd
    st.none() | st.sampled_from([1, 2]),  # turns
    st.integers(0, 5),  # parent, where there is one
    st.booleans(),
)


def history_of(
    episode: str, nodes: Sequence[tuple[int, float | None, float | None, float | None, int | None, int, bool]]
) -> list[Seen]:
    made: list[Seen] = []
    number = 0
    for index, (later, correct, price, usd, turns, parent, fresh) in enumerate(nodes):
        number = 0 if index == 0 else number + min(later, 1)
        earlier = [seen.attempt.id for seen in made if seen.attempt.round < number]
        checks = (
            CheckerResult(
                objective="correct", value=correct, unit="share", passed=None if correct is None else correct == 1
            ),
            CheckerResult(objective="price", value=price, unit="usd", passed=turns == 1),
        )
        attempt = Attempt(
            id=f"{episode}.{index}",
            episode_id=episode,
            round=number,
            index=index,
            parent_id=earlier[parent % len(earlier)] if earlier and not fresh else None,
            task_digest="t",
            benchmark="b",
            worker=WORKER,
            steer=Steer(),
            checks=checks,
            outcome="ok",
            cost=Cost(usd=usd, turns=turns),
        )
        made.append(Seen(attempt, ()))
    return made


def record(histories: Sequence[Sequence[Seen]]) -> Record:
    episodes = []
    for history in histories:
        chosen = select(history)
        assert chosen is not None
        episodes.append(
            Episode(
                id=chosen.attempt.episode_id,
                condition="c",
                seed=0,
                split="search",
                benchmark="b",
                task_digest="t",
                worker=WORKER,
                decision_ids=(),
                attempt_ids=tuple(seen.attempt.id for seen in history),
                selected_id=chosen.attempt.id,
                granted=Amounts(attempts=9),
                spent=Amounts(),
            )
        )
    attempts = [seen.attempt for history in histories for seen in history]
    tables = Tables(table_of("attempts", attempts), table_of("decisions", []), table_of("episodes", episodes))
    return record_of(tables, "search")


HISTORIES = st.lists(st.lists(NODE, min_size=1, max_size=6), min_size=1, max_size=4).map(
    lambda many: [history_of(f"e{n}", nodes) for n, nodes in enumerate(many)]
)


def through(history: Sequence[Seen], k: int) -> list[Seen]:
    return [seen for seen in history if seen.attempt.round <= k]


@settings(deadline=None)
@given(HISTORIES)
def test_the_running_best_is_what_the_selector_would_take(histories: list[list[Seen]]) -> None:
    made = record(histories)
    best_N_K = made.best_N_K
    ids = made.tables.attempts["id"].take(made.attempts.row_B).to_pylist()
    for n, history in enumerate(histories):
        for k in range(best_N_K.shape[1]):
            chosen = select(through(history, k))
            assert chosen is not None
            assert ids[best_N_K[n, k]] == chosen.attempt.id
        assert ids[made.selected_N[n]] == ids[best_N_K[n, -1]]


@settings(deadline=None)
@given(HISTORIES, st.sampled_from([PRICE, PATH]))
def test_rewards_telescope_to_the_live_value_by_way_of_the_running_totals(
    histories: list[list[Seen]], objective: Objective
) -> None:
    made = record(histories)
    rewards_N_K_M = rewards_of(made, {}, [objective])
    missing = unknown(rewards_N_K_M, [objective], judged=False)
    for n, history in enumerate(histories):
        running: list[float | None] = []
        for k in range(max(seen.attempt.round for seen in history) + 1):
            chosen = select(through(history, k))
            assert chosen is not None
            running.append(episode_values(through(history, k), chosen.attempt.id, None, [objective])["price"])
        assert missing[n] == (running[-1] is None)
        if missing[n]:
            assert np.isnan(rewards_N_K_M[n]).all()
            continue
        sums = rewards_N_K_M[n, :, 0].cumsum()
        for k, value in enumerate(running):
            assert sums[k] == pytest.approx(value if value is not None else (sums[k - 1] if k else 0.0), abs=1e-12)
        assert (rewards_N_K_M[n, len(running) :] == 0).all()


def test_the_judges_number_falls_in_the_last_round() -> None:
    node = (1, 1.0, 1.0, None, 1, 0, True)
    made = record(
        [history_of("a", [node, node]), history_of("b", [node]), history_of("c", [node]), history_of("d", [node])]
    )
    half = Objective(name="correct", unit="share", worst=0.0, best=0.5, over="judge")
    rewards_N_K_M = rewards_of(made, {"a": 0.25, "b": 2.0, "c": None}, [half, PRICE])
    assert rewards_N_K_M[:2, :, 0].tolist() == [[0.0, 0.5], [1.0, 0.0]]
    assert unknown(rewards_N_K_M, [half, PRICE], judged=True).tolist() == [False, False, True, True]
    assert not unknown(rewards_N_K_M, [half, PRICE], judged=False).any()


def test_a_checker_that_nobody_ran_is_not_known() -> None:
    made = record([history_of("a", [(1, 1.0, 1.0, None, 1, 0, True)])])
    other = Objective(name="other", unit="x", worst=0.0, best=1.0, over="episode")
    assert unknown(rewards_of(made, {}, [other]), [other], judged=False).tolist() == [True]


def test_names_are_checked() -> None:
    check_names([JUDGED, PRICE])
    with pytest.raises(UsageError, match="there are none"):
        check_names([])
    with pytest.raises(UsageError, match="price, price"):
        check_names([PRICE, PATH])
