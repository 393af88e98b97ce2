from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.sqlite import transaction
from judges.chain import Head, Row, bodies_of_episodes, body_of, connect, extend, walk
from signatures.errors import StoreError

DROP = "DROP TRIGGER never_edited; DROP TRIGGER never_deleted;"
COUNT = 6


@pytest.fixture
def filled(path: Path) -> Path:
    with closing(connect(path)) as db, transaction(db):
        extend(db, [Row(f"v{i}", f"e{i}", f'{{"score":{i}}}') for i in range(1, COUNT + 1)])
    return path


def tamper(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(DROP + sql)


def walked(path: Path) -> Head:
    with closing(connect(path)) as db:
        return walk(db, path)


def test_an_untouched_chain_is_walked_to_its_end(filled: Path) -> None:
    head = walked(filled)
    assert head.rows == COUNT
    assert walked(filled) == head


def test_an_empty_chain_is_whole(path: Path) -> None:
    assert walked(path) == Head(0, "0" * 64)


@settings(max_examples=20)
@given(bodies=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=6), data=st.data())
def test_the_head_is_a_function_of_the_rows_and_not_of_the_commits(
    bodies: list[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [Row(f"v{i}", "e", body) for i, body in enumerate(bodies)]
    cut = data.draw(st.integers(0, len(rows)))
    heads = []
    for parts in ([rows], [rows[:cut], rows[cut:]]):
        path = tmp_path_factory.mktemp("chain") / "v.sqlite"
        with closing(connect(path)) as db:
            for part in parts:
                with transaction(db):
                    extend(db, part)
            heads.append(walk(db, path))
    assert heads[0] == heads[1]


def test_the_file_itself_refuses_edits_and_deletions(filled: Path) -> None:
    with closing(sqlite3.connect(filled)) as db:
        for sql in ("UPDATE verdicts SET body = '{}' WHERE seq = 2", "DELETE FROM verdicts WHERE seq = 2"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(sql)


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("UPDATE verdicts SET body = '{\"score\":9}' WHERE seq = 3", r"row 3 \(verdict v3\) was edited or inserted"),
        ("UPDATE verdicts SET episode_id = 'e9' WHERE seq = 1", r"row 1 \(verdict v1\) was edited"),
        ("UPDATE verdicts SET id = 'v9' WHERE seq = 6", r"row 6 \(verdict v9\) was edited"),
        ("UPDATE verdicts SET chain = upper(chain) WHERE seq = 4", r"row 4 \(verdict v4\) was edited"),
        ("UPDATE verdicts SET body = x'ff00' WHERE seq = 2", r"row 2 \(verdict v2\) was edited"),
        ("UPDATE verdicts SET body = CAST(x'ff' AS TEXT) WHERE seq = 2", r"row 2 \(verdict v2\) was edited"),
        ("UPDATE verdicts SET seq = 99 WHERE seq = 3", "row 3 was deleted"),
        ("DELETE FROM verdicts WHERE seq = 3", "row 3 was deleted"),
        ("DELETE FROM verdicts WHERE seq <= 2", "row 1 was deleted"),
        ("DELETE FROM verdicts WHERE seq >= 5", "row 5 was deleted"),
        ("DELETE FROM verdicts", "row 1 was deleted"),
        ("INSERT INTO verdicts VALUES (7, 'x', 'x', '{}', 'x')", r"row 7 \(verdict x\) was edited or inserted"),
        ("INSERT INTO verdicts VALUES (0, 'x', 'x', '{}', 'x')", "row 0 was inserted"),
        (
            "UPDATE verdicts SET seq = 99 WHERE seq = 3; UPDATE verdicts SET seq = 3 WHERE seq = 4;"
            "UPDATE verdicts SET seq = 4 WHERE seq = 99",
            r"row 3 \(verdict v4\) was edited",
        ),
    ],
)
def test_the_first_row_that_was_touched_is_named(filled: Path, sql: str, named: str) -> None:
    tamper(filled, sql)
    with pytest.raises(StoreError, match=named):
        walked(filled)


def test_a_deleted_end_stays_visible_after_more_was_appended(filled: Path) -> None:
    tamper(filled, "DELETE FROM verdicts WHERE seq = 6")
    with closing(connect(filled)) as db:
        with transaction(db):
            extend(db, [Row("v7", "e7", "{}")])
        with pytest.raises(StoreError, match="row 6 was deleted"):
            walk(db, filled)


def test_a_chain_rebuilt_as_a_whole_has_another_head(filled: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged.sqlite"
    with closing(connect(forged)) as db, transaction(db):
        extend(db, [Row(f"v{i}", f"e{i}", '{"score":1}') for i in range(1, COUNT + 1)])
    assert walked(forged).rows == walked(filled).rows
    assert walked(forged).chain != walked(filled).chain


def test_rows_are_found_by_id_and_by_episode(filled: Path) -> None:
    with closing(connect(filled)) as db:
        assert body_of(db, "v2") == '{"score":2}'
        assert body_of(db, "nowhere") is None
        assert bodies_of_episodes(db, ["e5", "e1", "nowhere"]) == ['{"score":1}', '{"score":5}']


def test_each_commit_is_synced_to_a_write_ahead_log(path: Path) -> None:
    with closing(connect(path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_another_programs_database_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE mine (x)")
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(StoreError, match="another program's"):
        connect(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_what_is_no_database_is_not_opened(path: Path) -> None:
    path.write_text("these are only words, but enough of them to look like a file\n" * 40)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        connect(path)
