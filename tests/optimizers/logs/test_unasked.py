"""What policies would have answered where nobody asked them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.logs.tabled import Answers, hashed, with_ones
from optimizers.logs.unasked import Filler, LegalSets, common


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3))))
def test_the_most_common_value_of_a_key(rows: list[tuple[int, int]]) -> None:
    keys, values = (np.array([row[n] for row in rows], dtype=np.int64) for n in (0, 1))
    for (key, _), found in zip(rows, common(keys, values), strict=True):
        counts = Counter(value for k, value in rows if k == key and value >= 0)
        best = max(counts.values(), default=0)
        assert found == min((value for value, count in counts.items() if count == best), default=-1)


def answers() -> Answers:
    """Legal (a, b), answered (.25, .75) and (1, 0); legal (b, c), answered (.5, .5)."""
    share = np.array([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    return Answers(("a", "b", "c"), ((0, 1), (1, 2)), np.array([0, 0, 1]), with_ones(share))


def filled(
    legal: list[int], answer: list[int], asked: list[int], controller: list[int] | None = None
) -> list[list[float]]:
    filler = Filler(answers(), np.array(controller or [0] * len(legal), dtype=np.int64))
    rows = filler.filled(np.array(legal), np.array(answer), hashed(np.array(asked, dtype=np.int64)))
    return filler.answers.share_U_W[rows].tolist()


def test_the_same_question_has_the_same_answer() -> None:
    found = filled([0, 0, 0], [1, -1, 0], [7, 7, 8])
    assert found[0] == found[1] == [1.0, 0.0, 1.0]
    assert found[2] == [0.25, 0.75, 1.0]


def test_another_question_is_pooled_by_action() -> None:
    found = filled([0, 0, 0], [0, 1, -1], [1, 2, 3])
    assert found[2] == pytest.approx([0.625, 0.375, 1.0])
    # a: never legal beside c; b and c as they were given elsewhere
    found = filled([0, 1, 1], [1, 2, -1], [1, 2, 3])
    assert found[2] == pytest.approx([1 / 3, 2 / 3, 1.0])  # b had 0 and .5, c had .5


def test_what_a_controller_never_gave_is_not_possible() -> None:
    assert filled([0, 0], [1, -1], [1, 2])[1] == [1.0, 0.0, 1.0]
    assert filled([0, 0], [0, -1], [1, 2], [0, 1])[1] == [0.0, 0.0, 1.0]  # another controller's answers are not its own


def test_without_a_legal_set_a_policy_has_no_say() -> None:
    assert filled([-1], [-1], [1])[0] == [1.0, 1.0, 1.0]


def test_a_single_legal_action_is_certain() -> None:
    sets = LegalSets.of(answers())
    number = sets.of_names(("d",))
    assert (sets.of_names(("b", "c")), sets.of_names(("d",))) == (1, number)
    whole = sets.extended(answers())
    assert whole.legal_names(number) == ("d",)
    filler = Filler(whole, np.zeros(2, dtype=np.int64))
    rows = filler.filled(np.array([number, number]), np.array([-1, -1]), hashed(np.array([1, 2])))
    assert rows[0] == rows[1]
    assert filler.answers.share_U_W[rows[0]].tolist() == [1.0, 0.0, 1.0]
    assert filler.answers.share_U_W[:3].tolist() == answers().share_U_W[:3].tolist()
