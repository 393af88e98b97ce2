"""Columns of tables as sorted arrays, and hashes of rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.corpus.columns import table_of
from optimizers.logs.tabled import (
    attempts_of,
    coded,
    column,
    decisions_of,
    floats,
    floats_at,
    hashed,
    index_in,
    integers,
    padded,
    position,
    with_ones,
)
from signatures.errors import UsageError
from signatures.records import Decision, PolicyName
from tests.controllers.parts import seen


@given(st.lists(st.none() | st.sampled_from(["b", "a", "", "ä"])), st.booleans())
def test_texts_are_places_in_their_sorted_names(values: list[str | None], dictionary: bool) -> None:
    array = pa.array(values, pa.string())
    codes, names = coded(array.dictionary_encode() if dictionary else array)
    assert list(names) == sorted({value for value in values if value is not None})
    assert [None if code < 0 else names[code] for code in codes] == values


def test_null_is_nan_minus_one_or_nowhere() -> None:
    table = pa.table({"x": [1, None], "flag": [True, None], "id": ["b", None]})
    assert floats(table, "x").tolist()[0] == 1.0
    assert np.isnan(floats(table, "flag")[1])
    assert integers(table, "x").tolist() == [1, -1]
    assert index_in(column(table, "id"), pa.array(["a", None, "b"])).tolist() == [2, -1]
    assert np.isnan(floats_at(np.array([3.0]), np.array([0, -1]))).tolist() == [False, True]


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"no column 'y'; it has x"):
        column(pa.table({"x": [1]}), "y")


ROWS = st.lists(
    st.tuples(st.sampled_from([0.0, -0.0, 1.0, 2.0, 0.1, -1.0, 1e300]), st.integers(-1, 3), st.integers(0, 2**62)),
    min_size=1,
)


@given(ROWS)
def test_rows_have_one_hash_if_and_only_if_they_are_equal(rows: list[tuple[float, int, int]]) -> None:
    hashes = hashed(*(np.array(values) for values in zip(*rows, strict=True)))
    for row, one in zip(rows, hashes, strict=True):
        assert [one == other for other in hashes] == [row == other for other in rows]


def test_small_whole_numbers_do_not_collide() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(12.0)] * 5), axis=-1).reshape(-1, 5)
    assert len(np.unique(hashed(*grid.T))) == 12**5
    assert len(np.unique(hashed(grid[:, 0], grid[:, 1]))) == 144
    assert not set(hashed(grid[:, 0]).tolist()) & set(hashed(grid[:, 0], np.zeros(12**5)).tolist())


@given(st.lists(st.integers(0, 4)))
def test_a_position_counts_within_its_episode(episodes: list[int]) -> None:
    ordered = sorted(episodes)
    assert position(np.array(ordered, dtype=np.int64)).tolist() == [
        n - ordered.index(episode) for n, episode in enumerate(ordered)
    ]


def test_what_is_padded_ends_in_what_index_minus_one_reads() -> None:
    assert padded([(3, 1), (2,)]).tolist() == [[3, 1, -1], [2, -1, -1]]
    assert padded([]).shape == (0, 1)
    assert with_ones(np.array([[0.5, 0.5, 0.0]]))[[-1, 0, 0], [0, 1, -1]].tolist() == [1.0, 0.5, 1.0]


def test_attempts_are_sorted_and_know_their_parents() -> None:
    history = [seen(2, parent=1), seen(0), seen(1, parent=0)]
    table = table_of("attempts", [one.attempt for one in history])
    episode = history[0].attempt.episode_id
    found = attempts_of(table, pa.array(["another", episode]))
    assert found.episode_B.tolist() == [1, 1, 1]
    assert found.row_B.tolist() == [1, 2, 0]
    assert found.parent_B.tolist() == [-1, 0, 1]
    assert found.position_B.tolist() == [0, 1, 2]
    assert attempts_of(table, pa.array(["another"])).row_B.tolist() == []


def decision(step: int, policy: PolicyName, legal: Sequence[str], action: str, share: float = 0.5) -> Decision:
    rest = (1 - share) / (len(legal) - 1)
    return Decision(
        id=f"{step}{policy}",
        episode_id="e",
        step=step,
        policy=policy,
        features={"attempts": float(step)},
        legal=tuple(legal),
        probabilities={one: share if one == action else rest for one in legal},
        action=action,
        propensity=share,
        draw_seed=0,
        tier="rule",
        policy_digest="p",
    )


STOP = ("continue", "done")


def test_decisions_are_sorted_and_equal_answers_are_one() -> None:
    made = [
        decision(2, "topology", ("refine_last", "fanout_1"), "fanout_1"),
        decision(1, "stop", STOP, "continue"),
        decision(0, "topology", ("fanout_1", "fanout_2"), "fanout_2"),
        decision(3, "stop", STOP, "done"),
    ]
    found = decisions_of(table_of("decisions", made), pa.array(["e"]))
    assert found.step_D.tolist() == [0, 1, 2, 3]
    assert found.round_D.tolist() == [0, 1, 1, 2]
    assert found.place_D.tolist() == [1, 0, 1, 1]
    assert [found.answers.names[a] for a in found.action_D] == ["fanout_2", "continue", "fanout_1", "done"]
    assert found.answer_D[1] == found.answer_D[3]  # the same legal set and probabilities
    assert len(found.answers.legal_U) == 3
    legal = found.answers.legal_U[found.answer_D]
    assert [found.answers.legal_names(int(one)) for one in legal] == [
        ("fanout_1", "fanout_2"),
        STOP,
        ("refine_last", "fanout_1"),
        STOP,
    ]
    assert found.answers.legal_names(-1) is None


def test_what_no_table_of_decisions_can_hold_is_refused() -> None:
    table = table_of("decisions", [decision(0, "stop", STOP, "done")])
    index = table.column_names.index("policy")
    with pytest.raises(UsageError, match="no policy is called 'guess'"):
        decisions_of(table.set_column(index, "policy", pa.array(["guess"])), pa.array(["e"]))
    index = table.column_names.index("probabilities")
    with pytest.raises(UsageError, match="differ in length"):
        decisions_of(table.set_column(index, "probabilities", pa.array([[0.5]])), pa.array(["e"]))
