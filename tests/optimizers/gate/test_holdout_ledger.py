"""The holdout ledger's file: whoever touches a row is found out, and several processes extend one chain."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.gate.holdout_ledger import Completed, Entry, EntryTable, Head, Opened, Registered
from signatures.errors import StoreError

ROOT = Path(__file__).parents[3]
AT = datetime(2026, 1, 5, tzinfo=UTC)
DROP = "DROP TRIGGER never_edited; DROP TRIGGER never_deleted;"
ENTRIES: list[Entry] = [
    Registered(registration="r", candidate="c", seal="s", at=AT),
    Opened(read="x", registration="r", candidate="c", slice="one", seal="s", contents=("a", "b"), at=AT),
    Completed(read="x", verdicts="v", at=AT),
    Registered(registration="r2", candidate="c2", seal="s2", at=AT),
]

TOGETHER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from optimizers.gate.holdout_ledger import EntryTable, Registered

print("ready", flush=True)
sys.stdin.readline()
table = EntryTable(Path(sys.argv[1]))
for i in range(20):
    with table.writing():
        table.add(Registered(registration=f"{sys.argv[2]}-{i}", candidate="c", seal="s", at=datetime.now(UTC)))
table.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "holdout.sqlite"


@pytest.fixture
def filled(path: Path) -> Path:
    fill(path, ENTRIES)
    return path


def fill(path: Path, entries: list[Entry]) -> None:
    with closing(EntryTable(path)) as table, table.writing():
        for entry in entries:
            table.add(entry)


def walked(path: Path) -> tuple[list[Entry], list[Head]]:
    with closing(EntryTable(path)) as table:
        return table.read()


def tamper(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(DROP + sql)


def test_what_was_added_is_read_in_order(filled: Path) -> None:
    entries, heads = walked(filled)
    assert entries == ENTRIES
    assert [head.rows for head in heads] == [1, 2, 3, 4]
    assert len({head.chain for head in heads}) == 4


def test_an_empty_ledger_is_whole(path: Path) -> None:
    assert walked(path) == ([], [])


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, len(ENTRIES)), max_size=3))
def test_the_chain_is_a_function_of_the_entries_and_not_of_the_commits(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    at_once, in_parts = (tmp_path_factory.mktemp("chain") / "h.sqlite" for _ in range(2))
    fill(at_once, ENTRIES)
    ends = [0, *sorted(cuts), len(ENTRIES)]
    for first, last in pairwise(ends):
        fill(in_parts, ENTRIES[first:last])
    assert walked(at_once) == walked(in_parts)


def test_a_transaction_that_fails_adds_nothing(filled: Path) -> None:
    with closing(EntryTable(filled)) as table:
        with pytest.raises(RuntimeError, match="on the way"), table.writing():
            table.add(ENTRIES[0])
            raise RuntimeError("on the way")
        assert table.read()[0] == ENTRIES


def test_the_file_itself_refuses_edits_and_deletions(filled: Path) -> None:
    with closing(sqlite3.connect(filled)) as db:
        for sql in ("UPDATE entries SET body = '{}' WHERE seq = 2", "DELETE FROM entries WHERE seq = 2"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(sql)


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("UPDATE entries SET body = replace(body, '\"c\"', '\"d\"') WHERE seq = 2", r"row 2 \(opened\) was edited"),
        ("UPDATE entries SET body = CAST(x'ff' AS TEXT) WHERE seq = 3", r"row 3 \(completed\) was edited"),
        ("UPDATE entries SET body = x'ff00' WHERE seq = 3", r"row 3 \(completed\) was edited"),
        ("UPDATE entries SET kind = 'registered' WHERE seq = 3", r"row 3 \(registered\) was edited"),
        ("UPDATE entries SET chain = upper(chain) WHERE seq = 1", r"row 1 \(registered\) was edited"),
        ("DELETE FROM entries WHERE seq = 2", "row 2 was deleted"),
        ("DELETE FROM entries WHERE seq >= 3", "row 3 was deleted"),
        ("DELETE FROM entries", "row 1 was deleted"),
        ("INSERT INTO entries VALUES (0, 'registered', '{}', 'x')", "row 0 was inserted"),
        ("INSERT INTO entries VALUES (5, 'registered', '{}', 'x')", r"row 5 \(registered\) was edited or inserted"),
        (
            "UPDATE entries SET seq = 99 WHERE seq = 2; UPDATE entries SET seq = 2 WHERE seq = 3;"
            "UPDATE entries SET seq = 3 WHERE seq = 99",
            r"row 2 \(completed\) was edited",
        ),
    ],
)
def test_the_first_row_that_was_touched_is_named_and_nothing_is_added(filled: Path, sql: str, named: str) -> None:
    tamper(filled, sql)
    with closing(EntryTable(filled)) as table:
        with pytest.raises(StoreError, match=named):
            table.read()
        with pytest.raises(StoreError, match=named), table.writing():
            table.add(ENTRIES[0])


def test_a_chain_written_anew_fits_but_has_another_head(filled: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged.sqlite"
    fill(forged, [ENTRIES[0], ENTRIES[1].model_copy(update={"candidate": "d"}), *ENTRIES[2:]])
    theirs, ours = walked(forged)[1], walked(filled)[1]
    assert theirs[0] == ours[0]
    assert {head.chain for head in theirs[1:]}.isdisjoint(head.chain for head in ours)


def test_a_row_of_another_version_is_an_error(filled: Path) -> None:
    row = (5, "reserved", "{}")
    with closing(EntryTable(filled)) as table:
        last = table.read()[1][-1].chain
    chain = hashlib.sha256(json.dumps([last, *row]).encode()).hexdigest()
    with closing(sqlite3.connect(filled)) as db, db:
        db.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", (*row, chain))
    with pytest.raises(StoreError, match="row 5 is no entry of a holdout ledger of this version"):
        walked(filled)


def test_what_is_no_ledger_is_a_store_error_and_left_alone(tmp_path: Path) -> None:
    words, theirs = tmp_path / "words", tmp_path / "theirs.sqlite"
    words.write_text("these are only words, but enough of them to look like a file\n" * 40)
    with closing(sqlite3.connect(theirs)) as db:
        db.executescript("CREATE TABLE mine (x)")
    before = [file.read_bytes() for file in (words, theirs)]
    for wrong, named in ((words, "cannot open"), (theirs, "another program's"), (tmp_path, "cannot open")):
        with pytest.raises(StoreError, match=named):
            EntryTable(wrong)
    assert [file.read_bytes() for file in (words, theirs)] == before


@pytest.fixture
def writers(path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-c", TOGETHER, str(path)]
    made = [subprocess.Popen([*command, name], cwd=ROOT, text=True, stdin=-1, stdout=-1) for name in "xy"]
    yield made
    for writer in made:
        writer.kill()
        writer.communicate()


def test_two_processes_extend_one_chain(path: Path, writers: list[subprocess.Popen[str]]) -> None:
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert len(walked(path)[0]) == 40
