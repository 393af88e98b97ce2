from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.history import Seen
from controllers.selector import select
from signatures.records import Cost
from tests.controllers.parts import check, seen


def one(index: int, correct: float | None, *, others: int = 0, usd: float | None = None, turns: int | None = 3) -> Seen:
    checks = [check("correct", correct)] + [check(f"other{n}", None, passed=True) for n in range(others)]
    return seen(index, checks=tuple(checks), cost=Cost(usd=usd, turns=turns))


@pytest.mark.parametrize(
    ("history", "chosen"),
    [
        ([one(0, 0.5), one(1, 0.9), one(2, 0.7)], 1),
        ([one(0, None), one(1, 0.0)], 1),
        ([one(0, 0.5), one(1, 0.5, others=1)], 1),
        ([one(0, 0.5, usd=0.2), one(1, 0.5, usd=0.1)], 1),
        ([one(0, 0.5, usd=None), one(1, 0.5, usd=0.1)], 1),
        ([one(0, 0.5, turns=5), one(1, 0.5, turns=4)], 1),
        ([one(0, 0.5), one(1, 0.5)], 0),
        ([one(0, 0.5, usd=9.0), one(1, 0.4, usd=0.0)], 0),
        ([seen(0, failed=True), one(1, 0.0)], 1),
        ([seen(0), one(1, None)], 1),
    ],
    ids=["best", "unknown", "passed", "usd", "free", "turns", "earlier", "correct first", "infra", "no check"],
)
def test_the_best_is_kept(history: list[Seen], chosen: int) -> None:
    found = select(history)
    assert found is not None
    assert found.attempt.index == chosen


def test_nothing_is_chosen_where_nothing_is_left() -> None:
    assert select([]) is None
    assert select([seen(0, failed=True)]) is None


@given(
    st.lists(
        st.tuples(st.none() | st.sampled_from([0.0, 0.5, 1.0]), st.none() | st.sampled_from([0.1, 0.2])), min_size=1
    ),
    st.randoms(use_true_random=False),
)
def test_the_choice_does_not_depend_on_the_order(made: list[tuple[float | None, float | None]], random: object) -> None:
    history = [one(n, correct, usd=usd) for n, (correct, usd) in enumerate(made)]
    shuffled = list(history)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert select(shuffled) is select(history)
    best = max((correct for correct, _ in made if correct is not None), default=None)
    chosen = select(history)
    assert chosen is not None
    found = chosen.attempt.check("correct")
    assert found is not None
    assert found.value == best
