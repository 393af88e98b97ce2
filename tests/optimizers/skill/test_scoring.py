from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.skill.scoring import compared, scored
from tests.worlds.asked import question, reply


def test_the_numbers_of_a_way() -> None:
    questions = [question(f"t{n}", families=("a", "b") if n < 8 else ("a",)) for n in range(24)]
    chosen = ["fanout_1"] * 16 + ["refine_last"] * 7 + [None]
    found = scored("centred", questions, chosen, [reply(-1, -1, -1)] * 24)
    assert (found.n, found.right, found.unread) == (24, 16, 1)
    # Clopper & Pearson: 16 of 24
    assert (found.accuracy, found.lo, found.hi) == pytest.approx((2 / 3, 0.4468, 0.8437), abs=1e-4)
    # P(X >= 16) of Binomial(24, 1/3)
    assert found.p_chance == pytest.approx(0.00086, abs=2e-5)
    assert [(one.family, one.right, one.n) for one in found.families] == [("a", 16, 24), ("b", 8, 8)]
    assert (found.tokens, found.seconds) == (11.0, 0.5)
    assert found.chosen == {"fanout_1": 16, "refine_last": 7}


def test_a_way_that_asks_no_model_has_no_cost() -> None:
    found = scored("rules", [question("a")], ["fanout_1"], [None])
    assert (found.tokens, found.seconds, found.accuracy) == (None, None, 1.0)


def test_ways_are_compared_on_the_same_questions() -> None:
    right = {"new": [True] * 8 + [False] * 2, "zero-shot": [False] * 8 + [True, False], "other": [True] * 10}
    found = compared(right, "new", ("zero-shot", "new", "always one"))
    assert found == {"zero-shot": pytest.approx(2 * (1 + 9) / 2**9)}


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_an_interval_holds_its_share(hits: list[bool]) -> None:
    chosen = ["fanout_1" if hit else None for hit in hits]
    found = scored("w", [question(f"t{n}") for n in range(len(hits))], chosen, [None] * len(hits))
    assert found.lo <= found.accuracy <= found.hi
    assert found.right + found.unread == found.n == len(hits)
