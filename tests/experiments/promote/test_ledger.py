"""The promotion ledger: what was champion and why, which gaps are open, and nothing of it changed unseen."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from experiments.promote.ledger import (
    Activated,
    Challenged,
    Entry,
    GapClosed,
    GapOpened,
    PromotionLedger,
    RolledBack,
    ledger_path,
    tags_of,
)
from optimizers.gate.holdout import HoldoutLedger
from optimizers.gate.holdout_ledger import Head
from signatures.errors import StoreError, UsageError

ROOT = Path(__file__).parents[3]
AT = datetime(2026, 1, 5, tzinfo=UTC)


def challenged(version: str = "1", *, before: str | None = None, name: str = "planted") -> Challenged:
    return Challenged(
        name=name,
        version=version,
        release=f"r{version}",
        candidate="c",
        from_version=before,
        certificate="k",
        ungated="",
        at=AT,
    )


def activated(version: str = "1", *, before: str | None = None) -> Activated:
    return Activated(
        name="planted",
        version=version,
        release=f"r{version}",
        candidate="c",
        from_version=before,
        certificate=None,
        ungated="asked for",
        verdict="identical",
        evidence=("64 states equal", "3 episodes played"),
        at=AT,
    )


def gap(version: str = "1", *, verdict: str = "other decisions") -> GapOpened:
    return GapOpened(
        name="planted",
        version=version,
        release=f"r{version}",
        candidate="c",
        from_version=None,
        certificate="k",
        ungated="",
        verdict=verdict,
        evidence=("state 3: fan, not pump",),
        next_step="promote_run --close-gaps",
        at=AT,
    )


def closed(version: str = "1") -> GapClosed:
    return GapClosed(
        name="planted", version=version, release=f"r{version}", candidate="c", verdict="ok", evidence=("e",), at=AT
    )


def rolled_back(version: str, before: str) -> RolledBack:
    return RolledBack(
        name="planted",
        version=version,
        release=f"r{version}",
        candidate="c",
        from_version=before,
        certificate="k",
        ungated="",
        verdict="drift",
        evidence=("asked",),
        at=AT,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return ledger_path(tmp_path, "planted")


@pytest.fixture
def filled(path: Path) -> Path:
    """A ledger of five entries."""
    with PromotionLedger(path) as ledger:
        for entry in (challenged(), activated(), challenged("2", before="1"), gap("2"), closed("2")):
            ledger.add(entry)
    return path


def test_what_was_added_is_read_back_in_order(path: Path) -> None:
    entries: list[Entry] = [challenged(), gap(), closed(), activated(), rolled_back("1", "2")]
    with PromotionLedger(path) as ledger:
        assert (ledger.entries(), ledger.head(), ledger.champion()) == ((), Head(rows=0), None)
        heads = [ledger.add(entry) for entry in entries]
        assert [head.rows for head in heads] == [1, 2, 3, 4, 5]
        assert len({head.chain for head in heads}) == 5
    with PromotionLedger(path) as ledger:
        assert ledger.entries() == tuple(entries)
        assert ledger.head() == heads[-1]


def test_the_last_move_says_who_is_champion(path: Path) -> None:
    with PromotionLedger(path) as ledger:
        for entry in (challenged(), activated(), challenged("2", before="1"), activated("2", before="1")):
            ledger.add(entry)
        assert ledger.champion() == activated("2", before="1")
        ledger.add(challenged("3", before="2"))
        ledger.add(gap("3"))
        assert ledger.champion() == activated("2", before="1")
        ledger.add(rolled_back("1", "2"))
        assert ledger.champion() == rolled_back("1", "2")


class TestGaps:
    def test_a_gap_is_open_until_its_own_canary_passes(self, path: Path) -> None:
        with PromotionLedger(path) as ledger:
            ledger.add(gap("2"))
            ledger.add(gap("3"))
            ledger.add(gap("2", verdict="still other decisions"))
            assert ledger.open_gaps() == (gap("2", verdict="still other decisions"), gap("3"))
            ledger.add(activated("4"))
            assert [one.version for one in ledger.open_gaps()] == ["2", "3"]
            ledger.add(closed("2"))
            assert ledger.open_gaps() == (gap("3"),)
            ledger.add(closed("3"))
            assert ledger.open_gaps() == ()

    def test_what_is_not_open_is_not_closed(self, path: Path) -> None:
        with PromotionLedger(path) as ledger:
            ledger.add(gap("2"))
            other = closed("2").model_copy(update={"release": "another"})
            for entry in (closed("1"), other):
                with pytest.raises(UsageError, match="has no open gap to close"):
                    ledger.add(entry)
            ledger.add(closed("2"))
            with pytest.raises(UsageError, match="has no open gap to close"):
                ledger.add(closed("2"))
            assert ledger.head().rows == 2

    @pytest.mark.parametrize("change", [{"evidence": ()}, {"next_step": ""}, {"version": "x"}, {"name": "a/b"}])
    def test_a_gap_without_evidence_or_next_step_is_no_entry(self, change: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            GapOpened.model_validate({**gap().model_dump(), **change})

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from("oc"), st.sampled_from("123")), max_size=12))
    def test_open_is_what_was_opened_since_it_was_closed(self, moves: list[tuple[str, str]]) -> None:
        expected: set[str] = set()
        with TemporaryDirectory() as folder, PromotionLedger(Path(folder) / "p.db") as ledger:
            for kind, version in moves:
                if kind == "o":
                    ledger.add(gap(version))
                    expected.add(version)
                elif version in expected:
                    ledger.add(closed(version))
                    expected.remove(version)
            assert {one.version for one in ledger.open_gaps()} == expected


def test_one_ledger_is_of_one_model(filled: Path) -> None:
    with PromotionLedger(filled) as ledger, pytest.raises(UsageError, match="is the ledger of planted, not of other"):
        ledger.add(challenged(name="other"))


class TestTouched:
    @pytest.mark.parametrize(
        ("statement", "said"),
        [
            ("UPDATE promotions SET body = replace(body, '\"c\"', '\"d\"') WHERE seq = 2", "row 2 .* was edited"),
            ("DELETE FROM promotions WHERE seq = 4", "row 4 was deleted"),
            ("DELETE FROM promotions WHERE seq = 5", "row 5 was deleted"),
            ("UPDATE promotions SET kind = 'gap closed' WHERE seq = 4", "row 4 .* was edited"),
        ],
    )
    def test_a_touched_row_is_named_and_nothing_is_added(self, filled: Path, statement: str, said: str) -> None:
        with closing(sqlite3.connect(filled)) as db:
            db.executescript("DROP TRIGGER never_edited; DROP TRIGGER never_deleted;")
            assert db.execute(statement).rowcount == 1
            db.commit()
        with PromotionLedger(filled) as ledger:
            for call in (ledger.entries, ledger.head, ledger.open_gaps, lambda: ledger.add(challenged("9"))):
                with pytest.raises(StoreError, match=said):
                    call()

    def test_the_file_itself_refuses_edits(self, filled: Path) -> None:
        with closing(sqlite3.connect(filled)) as db, pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute("DELETE FROM promotions")

    def test_another_ledger_is_not_taken_for_it(self, tmp_path: Path) -> None:
        HoldoutLedger(tmp_path / "holdout.db").close()
        with pytest.raises(StoreError, match="not a promotion ledger"):
            PromotionLedger(tmp_path / "holdout.db")


def test_processes_extend_one_chain(path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from datetime import UTC, datetime\n"
        "from experiments.promote.ledger import Challenged, PromotionLedger\n"
        "with PromotionLedger(pathlib.Path(sys.argv[1])) as ledger:\n"
        "    for n in range(1, 16):\n"
        "        ledger.add(Challenged(name='planted', version=str(n), release=sys.argv[2], candidate='c',\n"
        "            from_version=None, certificate='k', ungated='', at=datetime.now(UTC)))\n"
    )
    given = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(path), name], env=given, cwd=path.parent) for name in "ab"
    ]
    assert [child.wait(60) for child in children] == [0, 0]
    with PromotionLedger(path) as ledger:
        found = ledger.entries()
        assert ledger.head().rows == 30
    for name in "ab":
        assert [one.version for one in found if one.release == name] == [str(n) for n in range(1, 16)]


def test_a_full_disk_is_a_store_error_and_leaves_the_chain_whole(filled: Path) -> None:
    with PromotionLedger(filled) as ledger:
        pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
        ledger._db.execute(f"PRAGMA max_page_count={pages}")  # SQLite's own "disk is full"
        long = activated("3").model_copy(update={"evidence": ("x" * 100_000,)})
        with pytest.raises(StoreError, match="cannot write: database or disk is full"):
            ledger.add(long)
        assert ledger.head().rows == 5


def test_the_tags_of_an_entry_say_all_of_it(path: Path) -> None:
    with PromotionLedger(path) as ledger:
        head = ledger.add(activated("1"))
    tags = tags_of(activated("1"), head)
    assert tags["tiller.kind"] == "activated"
    assert tags["tiller.evidence"] == "64 states equal\n3 episodes played"
    assert tags["tiller.ungated"] == "asked for"
    assert (tags["tiller.ledger_rows"], tags["tiller.ledger_chain"]) == ("1", head.chain)
    assert not {"tiller.certificate", "tiller.from_version"} & set(tags)
