"""What may be opened as a corpus, and what is left alone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from controllers.corpus.schema import TABLES, connect, parse
from controllers.testing import an_attempt
from signatures.errors import StoreError, UsageError
from signatures.records import Attempt, Decision

OPEN = "import sys; from pathlib import Path; from controllers.corpus.schema import connect; connect(Path(sys.argv[1]))"


def test_a_new_corpus_is_durable_by_its_settings(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "below" / "new" / "corpus.db")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names == {"attempts", "decisions", "episodes", "blobs"}


def test_every_column_is_a_field(tmp_path: Path) -> None:
    for kind, table in TABLES.items():
        assert {*table.columns} <= {*kind.model_fields}  # type: ignore[attr-defined]  # keys are record classes
        assert {*table.indexed} <= {*table.columns}


def test_filters_by_index_do_not_read_the_whole_table(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "corpus.db")) as db:
        for table in TABLES.values():
            for name in ("id", *table.indexed):
                sql = (
                    f"EXPLAIN QUERY PLAN SELECT body FROM {table.name} WHERE n > ? AND n <= ? AND {name} = ? ORDER BY n"
                )
                plan = " ".join(row[3] for row in db.execute(sql, (0, 9, "x")))
                assert "USING INDEX" in plan, (table.name, name, plan)
                assert "TEMP B-TREE" not in plan, (table.name, name, plan)


def test_another_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "corpus.db"
    with closing(connect(path)) as db:
        db.execute("PRAGMA user_version=7")
    for readonly in (False, True):
        with pytest.raises(StoreError, match="schema version 7; this Tiller reads version 1"):
            connect(path, readonly=readonly)


def test_another_programs_database_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE runs (id)")
    before = path.read_bytes()
    for readonly in (False, True):
        with pytest.raises(StoreError, match="another program's database"):
            connect(path, readonly=readonly)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["other.db"]


@pytest.mark.parametrize("readonly", [False, True])
def test_what_is_no_database_is_refused(tmp_path: Path, readonly: bool) -> None:
    (tmp_path / "text.db").write_text("not a database, but long enough to have a header, were it one" * 9)
    with pytest.raises(StoreError, match="file is not a database"):
        connect(tmp_path / "text.db", readonly=readonly)


def test_what_cannot_be_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open"):
        connect(tmp_path / "file" / "corpus.db")
    with pytest.raises(StoreError, match="no such corpus"):
        connect(tmp_path / "missing.db", readonly=True)
    with pytest.raises(StoreError, match="is empty"):
        connect(tmp_path / "file", readonly=True)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_odd_names_are_names(tmp_path: Path) -> None:
    path = tmp_path / "a?b#c%20d e.db"
    connect(path).close()
    connect(path, readonly=True).close()
    assert path.is_file()


def test_processes_may_create_it_at_the_same_time(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    environment = {**os.environ, "PYTHONPATH": str(pytestconfig.rootpath)}
    command = [sys.executable, "-c", OPEN, str(tmp_path / "corpus.db")]
    started = [subprocess.Popen(command, env=environment) for _ in range(4)]
    assert [process.wait(60) for process in started] == [0, 0, 0, 0]


def test_bodies_are_read_as_the_kind_that_is_asked_for() -> None:
    body = an_attempt(0).model_dump_json().encode()
    assert parse(Attempt, body) == an_attempt(0)
    with pytest.raises(StoreError, match="a stored Decision cannot be read"):
        parse(Decision, body)


def test_an_unknown_column_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="attempts have no column 'split'; columns: id, episode_id, task_digest"):
        TABLES[Attempt].check_columns({"split": "dev"})
