"""What is written is read back by the standard library's TOML parser."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.toml_text import toml_text

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
SCALARS = st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=12
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_a_table_survives_the_round_trip(values: dict[str, object]) -> None:
    assert tomllib.loads(toml_text(values)) == values


def test_plain_values_stand_before_tables() -> None:
    text = toml_text({"seed": 3, "budget": {"usd": 0.5, "by split": {"dev": [1, 2]}}, "names": ["a", "é\x7f"]})
    assert text == ('seed = 3\nnames = ["a", "é\\u007f"]\n\n[budget]\nusd = 0.5\n\n[budget."by split"]\ndev = [1, 2]\n')


@pytest.mark.parametrize("value", [None, object(), [None], {"a": {"b": None}}])
def test_what_toml_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="TOML has no place for"):
        toml_text({"key": value})
