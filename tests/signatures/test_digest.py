from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signatures.digest import DIGEST_CHARS, canonical_json, digest_bytes, digest_of, digest_text, seed_of
from signatures.records import Cost, Steer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_a_digest_is_the_start_of_sha256() -> None:
    whole = hashlib.sha256("Grüße".encode()).hexdigest()
    assert digest_text("Grüße") == digest_bytes("Grüße".encode()) == whole[:DIGEST_CHARS]


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    backwards = dict(reversed(value.items()))
    assert canonical_json(value) == canonical_json(backwards)
    assert digest_of(value) == digest_of(backwards)


@given(JSON, JSON)
def test_equal_content_and_only_that_has_an_equal_digest(one: object, other: object) -> None:
    assert (canonical_json(one) == canonical_json(other)) == (digest_of(one) == digest_of(other))


@given(st.text(), st.text())
def test_where_one_part_ends_matters(one: str, other: str) -> None:
    assert digest_of(one, other) != digest_of(one + other)
    assert (digest_of(one, other) == digest_of(other, one)) == (one == other)


@given(JSON)
def test_a_seed_has_63_bits_and_is_a_function_of_its_parts(value: object) -> None:
    seed = seed_of("draw", value)
    assert 0 <= seed < 2**63
    assert seed == seed_of("draw", value)
    assert seed != seed_of("other", value)


def test_seeds_of_neighbours_are_spread_evenly() -> None:
    high = sum(seed_of("draw", n) >= 2**62 for n in range(2000))
    assert 900 < high < 1100


def test_records_are_digested_by_content() -> None:
    assert digest_of(Cost(turns=1)) == digest_of(Cost(turns=1).model_dump(mode="json"))
    assert canonical_json(Steer()) == canonical_json(Steer().model_dump(mode="json"))


def test_any_text_has_a_digest_and_a_seed() -> None:
    assert digest_of("\ud800") != digest_of("\ud801")
    assert seed_of("\ud800") != seed_of("\ud801")


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_of(float("nan"))
    with pytest.raises(TypeError):
        digest_of({1, 2})


def test_another_process_finds_the_same_digest() -> None:
    code = (
        "from signatures.digest import digest_of, seed_of\n"
        "print(digest_of({'b': 1, 'a': [0.1, None]}, 'x'), seed_of('x', 2))"
    )
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONHASHSEED": "12345"}
    out = subprocess.run([sys.executable, "-c", code], cwd=root, env=env, capture_output=True, text=True, check=True)
    assert out.stdout.split() == [digest_of({"a": [0.1, None], "b": 1}, "x"), str(seed_of("x", 2))]
