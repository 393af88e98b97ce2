from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import ValidationError

from controllers.baselines import seed_candidate
from optimizers.store import MOST_PROMPTS, CertifiedStore, Stored, task_class
from signatures.errors import StoreError
from tests.worlds.lab import GRANT
from tests.worlds.shelved import asked, certificate, strategy


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of two strategies."""
    place = tmp_path / "sub" / "store.db"
    with CertifiedStore(place) as store:
        assert store.add(strategy("lamp"))
        assert store.add(strategy("other", seed_candidate()))
    return place


def test_what_was_added_comes_back_whole_and_in_order(path: Path) -> None:
    with CertifiedStore(path) as store:
        assert store.all() == (strategy("lamp"), strategy("other", seed_candidate()))
        assert store.all()[0].grant == GRANT


def test_adding_it_again_changes_nothing(path: Path) -> None:
    with CertifiedStore(path) as store:
        assert not store.add(strategy("lamp"))
        assert len(store.all()) == 2


def tampered(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        for trigger in ("never_edited", "never_deleted"):
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute(statement)
        db.commit()


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE strategies SET body = replace(body, '0.2', '0.9') WHERE seq = 1", "row 1 .* was edited"),
        ("UPDATE strategies SET body = replace(body, 'lamp', 'lump') WHERE seq = 2", None),
        ("DELETE FROM strategies WHERE seq = 1", "row 1 was deleted"),
        ("DELETE FROM strategies WHERE seq = 2", "row 2 was deleted"),
        ("UPDATE strategies SET id = 'another' WHERE seq = 2", "row 2 .* was edited"),
    ],
)
def test_a_store_that_was_touched_is_refused(path: Path, statement: str, says: str | None) -> None:
    tampered(path, statement)
    with CertifiedStore(path) as store:
        if says is None:  # the word is not in that row, so nothing was touched
            assert len(store.all()) == 2
            return
        with pytest.raises(StoreError, match=says):
            store.all()
        with pytest.raises(StoreError, match=says):
            store.add(strategy("third"))


def test_rows_cannot_be_edited_by_mistake(path: Path) -> None:
    with (
        closing(sqlite3.connect(path)) as db,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        db.execute("UPDATE strategies SET id = 'x'")


def test_another_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("nothing of the kind, but long enough to be looked at as one")
    with pytest.raises(StoreError):
        CertifiedStore(tmp_path / "x.db")


def test_a_certificate_of_something_else_is_refused() -> None:
    lamp = strategy("lamp")
    other = certificate(seed_candidate())
    with pytest.raises(ValidationError, match="of another controller"):
        Stored.model_validate(lamp.model_dump() | {"certificate": other})
    elsewhere = certificate(lamp.candidate, benchmark="elsewhere")
    with pytest.raises(ValidationError, match="of another benchmark"):
        Stored.model_validate(lamp.model_dump() | {"certificate": elsewhere})


def test_a_task_class_is_its_prompts_and_their_words() -> None:
    found = task_class("b", [asked(f"the broken pump number {n} and the valve") for n in range(99)])
    assert len(found.prompts) == MOST_PROMPTS
    assert {"pump", "broken", "valve"} <= set(found.terms)
    assert task_class("b", [asked("1 2")]).terms == ()
