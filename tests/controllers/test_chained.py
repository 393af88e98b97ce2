"""A chained table: what was touched is named, whatever the table is called, and nothing else is opened as one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.chained import GENESIS, ChainedTable, Link, one_moment
from controllers.sqlite import transaction
from signatures.errors import StoreError

TABLE = ChainedTable(
    name="notes",
    columns=("id TEXT NOT NULL", "body TEXT NOT NULL"),
    application_id=77,
    holder="note ledger",
    label="{}!",
)
ROWS = [("a", "one"), ("b", "two"), ("c", "three")]


def made(path: Path, rows: list[tuple[str, ...]] = ROWS) -> sqlite3.Connection:
    db = TABLE.connect(path)
    for row in rows:
        with transaction(db):
            TABLE.extend(db, [row])
    return db


def walked(db: sqlite3.Connection, path: Path) -> list[Link]:
    with one_moment(db):
        return list(TABLE.walk(db, path))


def test_rows_come_back_in_order_each_chained_to_the_one_before(tmp_path: Path) -> None:
    with closing(made(tmp_path / "notes.db")) as db:
        links = walked(db, tmp_path)
    assert [(link.seq, link.row) for link in links] == [(n, row) for n, row in enumerate(ROWS, 1)]
    assert len({GENESIS, *(link.chain for link in links)}) == 4
    with closing(made(tmp_path / "other.db", [("a", "one"), ("b", "TWO")])) as db:
        other = walked(db, tmp_path)
    assert [link.chain == mine.chain for link, mine in zip(other, links, strict=False)] == [True, False]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE notes SET body = 'x' WHERE seq = 2", r"row 2 \(b!\) was edited"),
        ("DELETE FROM notes WHERE seq = 2", "row 2 was deleted"),
        ("DELETE FROM notes WHERE seq = 3", "row 3 was deleted"),
        ("INSERT INTO notes VALUES (0, 'z', 'x', 'y')", "row 0 was inserted"),
        ("INSERT INTO notes VALUES (4, 'z', 'x', 'y')", r"row 4 \(z!\) was edited or inserted"),
    ],
)
def test_what_was_touched_is_named(tmp_path: Path, change: str, said: str) -> None:
    path = tmp_path / "notes.db"
    with closing(made(path)) as db:
        if not change.startswith("INSERT"):
            with pytest.raises(sqlite3.DatabaseError, match="append-only"):
                db.execute(change)
        for trigger in ("never_edited", "never_deleted"):
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute(change)
        with pytest.raises(StoreError, match=said):
            walked(db, path)


def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE mine (x)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program's database, not a note ledger"):
        TABLE.connect(path)
    assert path.read_bytes() == before


@given(rows=st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=6))
def test_any_text_is_kept(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]) -> None:
    path = tmp_path_factory.mktemp("chained") / "notes.db"
    kept = [row for row in rows if not any("\ud800" <= c <= "\udfff" for text in row for c in text)]
    with closing(made(path, kept)) as db:
        assert [link.row for link in walked(db, path)] == kept
