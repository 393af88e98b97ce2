"""Fields fit what a tracker keeps, and nothing is lost on the way."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.fields import KEY, SHORT, fit, key, named, rounded


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.123456, 0.1235), (1200.0, 1200.0), (0.0, 0.0), (0.00001234567, 0.00001235), (-0.5, -0.5), (1 / 3, 0.3333)],
)
def test_values_keep_four_digits(value: float, expected: float) -> None:
    assert rounded(value) == expected


@given(value=st.floats(min_value=-1e9, max_value=1e9))
def test_rounding_is_close_and_done_once(value: float) -> None:
    assert abs(rounded(value) - value) <= max(5.1e-5, 0)
    assert rounded(rounded(value)) == rounded(value)


@given(name=st.text(min_size=1, max_size=400))
def test_keys_are_legal(name: str) -> None:
    assert re.fullmatch(r"[\w\-. :/]{1,250}", key(name))
    assert len(key(name)) == min(len(name), KEY)


def test_ordinary_names_stay() -> None:
    assert key("search.generations") == "search.generations"
    assert named({"dev/correct_lo": 0.123456}) == {"dev/correct_lo": 0.1235}


@given(fields=st.dictionaries(st.text("abc./", min_size=1, max_size=5), st.text(max_size=30).map(lambda t: t * 60)))
def test_no_text_is_lost(fields: dict[str, str]) -> None:
    short, long = fit(fields)
    assert set(short) == set(fields)
    for name, text in fields.items():
        assert len(short[name]) <= SHORT
        assert short[name] == text or text in long.values()


def test_a_long_text_says_where_it_is_whole() -> None:
    short, long = fit({"judge/manifest": "x" * 9000})
    assert short == {"judge/manifest": "x" * 200 + " ... (whole: long/judge_manifest.txt)"}
    assert long == {"long/judge_manifest.txt": "x" * 9000}
