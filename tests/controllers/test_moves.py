from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.history import Seen
from controllers.moves import MAX_FANOUT, Move, legal_topology, move_of
from tests.controllers.parts import seen

LOW, HIGH = seen(0, correct=0.2), seen(1, correct=0.8)
FAILED = seen(2, failed=True)


@pytest.mark.parametrize(
    ("history", "left", "expected"),
    [
        ([], 0, ()),
        ([], 1, ("fanout_1",)),
        ([], 3, ("fanout_1", "fanout_2", "fanout_3")),
        ([], 99, ("fanout_1", "fanout_2", "fanout_3", "fanout_4")),
        ([LOW], 0, ()),
        ([LOW], 1, ("refine_last", "fanout_1")),
        ([LOW, HIGH], 1, ("refine_last", "fanout_1")),
        ([HIGH, LOW], 1, ("refine_last", "refine_best", "fanout_1")),
        ([FAILED], 1, ("fanout_1",)),
        ([LOW, FAILED], 1, ("refine_last", "fanout_1")),
    ],
)
def test_what_may_be_done(history: list[Seen], left: int, expected: tuple[str, ...]) -> None:
    assert legal_topology(history, left) == expected


@pytest.mark.parametrize(
    ("action", "history", "expected"),
    [
        ("fanout_1", [], Move("fanout", (None,))),
        ("fanout_3", [LOW], Move("fanout", (None, None, None))),
        ("refine_last", [HIGH, LOW], Move("refine", (LOW,))),
        ("refine_best", [HIGH, LOW], Move("refine", (HIGH,))),
        ("refine_last", [HIGH, LOW, FAILED], Move("refine", (LOW,))),
    ],
)
def test_what_an_action_means(action: str, history: list[Seen], expected: Move) -> None:
    assert move_of(action, history) == expected


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=5), st.integers(0, 9))
def test_every_legal_action_launches_what_the_budget_allows(made: list[tuple[float, bool]], left: int) -> None:
    history = [seen(n, failed=failed) if failed else seen(n, correct=value) for n, (value, failed) in enumerate(made)]
    for action in legal_topology(history, left):
        move = move_of(action, history)
        assert 1 <= len(move.parents) <= min(left, MAX_FANOUT)
        assert all(parent is None or parent.attempt.outcome == "ok" for parent in move.parents)
        assert (move.kind == "fanout") == (move.parents[0] is None)
