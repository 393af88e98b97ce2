"""A knob always stands somewhere."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from optimizers.knobs.knob import Choice, Count, Level, defaults, settled

KNOBS = (Choice("how", ("a", "b"), "b"), Count("many", 1, 5, 2), Level("much", 0.0, 1.0, 0.5))
ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.lists(st.integers()))


@given(st.dictionaries(st.sampled_from(("how", "many", "much", "else")), ANYTHING))
def test_any_values_settle_within_the_limits(values: dict[str, object]) -> None:
    at = settled(KNOBS, values)
    assert set(at) == {"how", "many", "much"}
    assert at["how"] in ("a", "b")
    assert isinstance(at["many"], int) and 1 <= at["many"] <= 5
    assert isinstance(at["much"], float) and 0.0 <= at["much"] <= 1.0
    assert settled(KNOBS, at) == at


def test_what_is_missing_or_no_value_is_the_default() -> None:
    assert settled(KNOBS, {}) == defaults(KNOBS) == {"how": "b", "many": 2, "much": 0.5}
    assert settled(KNOBS, {"how": "c", "many": True, "much": math.nan}) == defaults(KNOBS)
    assert settled(KNOBS, {"how": "a", "many": 9, "much": -math.inf}) == {"how": "a", "many": 5, "much": 0.0}
    assert settled(KNOBS, {"many": 2.6})["many"] == 3
