"""A transaction of units: each whole or not at all, none twice, contents compared as digests would compare them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.corpus.blobs import Blob, Packer
from controllers.corpus.schema import AnyRecord, connect
from controllers.corpus.units import Row, Unit, refuse_other, same_content, store
from controllers.testing import LARGE, SMALL, a_decision, an_attempt, an_episode
from signatures.errors import StoreError
from signatures.records import Attempt, CheckerResult, Cost, Outcome


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "corpus.db")) as opened:
        yield opened


def unit(*records: AnyRecord, blobs: Sequence[bytes] = ()) -> Unit:
    return Unit([Row.of(record) for record in records], [Blob.of(data) for data in blobs])


def numbers(db: sqlite3.Connection) -> dict[str, list[int]]:
    names = ("attempts", "decisions", "episodes", "blobs")
    return {name: [n for (n,) in db.execute(f"SELECT n FROM {name} ORDER BY n")] for name in names}


def test_rows_of_all_tables_share_one_dense_sequence(db: sqlite3.Connection) -> None:
    units = [unit(an_attempt(0), a_decision(0)), unit(an_episode(), blobs=[SMALL, LARGE]), unit(an_attempt(1))]
    assert store(db, Packer(), units) == [None, None, None]
    assert store(db, Packer(), [unit(a_decision(1))]) == [None]
    assert numbers(db) == {"attempts": [1, 4], "decisions": [2, 5], "episodes": [3], "blobs": [1, 2]}


def test_a_refused_unit_takes_no_number_and_leaves_no_blob(db: sqlite3.Connection) -> None:
    bad = unit(a_decision(0), an_attempt(0, outcome="empty"), blobs=[SMALL])
    first, second, third = store(db, Packer(), [unit(an_attempt(0)), bad, unit(an_attempt(1))])
    assert (first, third) == (None, None)
    assert "is stored with other content" in str(second)
    assert numbers(db) == {"attempts": [1, 2], "decisions": [], "episodes": [], "blobs": []}


def test_what_a_refused_unit_brought_does_not_count_against_the_next(db: sqlite3.Connection) -> None:
    refused = unit(an_attempt(1, outcome="empty"), an_attempt(0, outcome="empty"))
    fates = store(db, Packer(), [unit(an_attempt(0)), refused, unit(an_attempt(1))])
    assert [fate is None for fate in fates] == [True, False, True]


def test_a_damaged_row_stops_only_those_who_meet_it(db: sqlite3.Connection) -> None:
    store(db, Packer(), [unit(an_attempt(0))])
    db.execute("UPDATE attempts SET body = x'00'")
    with pytest.raises(StoreError, match="damaged"):
        store(db, Packer(), [unit(an_attempt(0))])
    assert store(db, Packer(), [unit(an_attempt(1))]) == [None]


attempts = st.builds(
    lambda outcome, turns, wall, value, timed: an_attempt(0, outcome=outcome).model_copy(
        update={
            "cost": Cost(turns=turns, wall_s=wall),
            "checks": (CheckerResult(objective="fast", value=value, unit="s", timed=timed),),
        }
    ),
    st.sampled_from(["ok", "empty"]),
    st.integers(0, 1),
    st.sampled_from([None, 0.0, 1.0]),
    st.sampled_from([None, 0.5]),
    st.booleans(),
)


@given(attempts, attempts)
def test_contents_are_the_same_where_their_digests_are(one: Attempt, other: Attempt) -> None:
    assert same_content(one, other) == (one.content_digest() == other.content_digest())


@pytest.mark.parametrize("outcome", ["empty", "timeout"])
def test_a_refusal_names_both_contents(outcome: Outcome) -> None:
    one, other = an_attempt(0), an_attempt(0, outcome=outcome)
    with pytest.raises(StoreError, match=f"Attempt {one.id} .* {one.content_digest()}, not {other.content_digest()}"):
        refuse_other(one, other)
