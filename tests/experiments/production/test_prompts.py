"""Prompts of production: kept whole, once, whatever is written at once, and never edited."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.production.prompts import Prompts, asked_task, prompts_path
from signatures.digest import digest_text
from signatures.errors import StoreError, UsageError
from signatures.records import Task


def task(digest: str, prompt: str = "repair it") -> Task:
    return Task(digest=digest, benchmark="planted", prompt=prompt)


def test_what_was_remembered_is_there_after_opening_again_in_its_order(tmp_path: Path) -> None:
    path = prompts_path(tmp_path / "runs", "planted")
    with Prompts(path) as prompts:
        prompts.remember(task("b"), task("a"))
        prompts.remember(task("b"))
    with Prompts(path) as again:
        again.remember(task("c"), task("a"))
        assert [one.digest for one in again.all()] == ["b", "a", "c"]
        assert again.get("a") == task("a")
        assert again.get("x") is None


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompt=st.text() | st.just("cut off\ud800"))
def test_a_prompt_comes_back_as_it_was(prompt: str, tmp_path: Path) -> None:
    with Prompts(tmp_path / "p.db") as prompts:
        one = task(digest_text(prompt), prompt)
        prompts.remember(one)
        assert prompts.get(one.digest) == one


def test_the_same_digest_with_another_prompt_is_an_error_and_nothing_of_the_call_is_kept(tmp_path: Path) -> None:
    with Prompts(tmp_path / "p.db") as prompts:
        prompts.remember(task("a"))
    with Prompts(tmp_path / "p.db") as prompts:
        with pytest.raises(StoreError, match="task a is kept with another prompt"):
            prompts.remember(task("b"), task("a", "something else"))
        assert [one.digest for one in prompts.all()] == ["a"]
        prompts.remember(task("b"))
        assert len(prompts.all()) == 2


def test_several_writers_at_once_keep_everything_once(tmp_path: Path) -> None:
    path = tmp_path / "p.db"

    def write(number: int) -> None:
        with Prompts(path) as prompts:
            for n in range(10):
                prompts.remember(task(f"{(n + number) % 10}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    with Prompts(path) as prompts:
        assert sorted(one.digest for one in prompts.all()) == [str(n) for n in range(10)]


@pytest.mark.parametrize("statement", ["UPDATE prompts SET prompt = 'x'", "DELETE FROM prompts"])
def test_the_file_itself_refuses_to_be_edited(statement: str, tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    with Prompts(path) as prompts:
        prompts.remember(task("a"))
    with closing(sqlite3.connect(path)) as db, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)


def test_another_programs_file_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="another program's database"):
        Prompts(path)
    (tmp_path / "text.db").write_text("no database at all, " * 100)
    with pytest.raises(StoreError, match="cannot open"):
        Prompts(tmp_path / "text.db")


def test_a_task_that_was_asked_is_named_by_all_that_was_asked(tmp_path: Path) -> None:
    one = asked_task("planted", "repair it")
    assert one == asked_task("planted", "repair it")
    assert "repair" not in one.digest
    others = [
        asked_task("planted", "repair this"),
        asked_task("telecom", "repair it"),
        asked_task("planted", "repair it", "ticket-7"),
    ]
    assert len({one.digest, *(other.digest for other in others)}) == 4
    for bad, said in ((" \n", "needs a prompt"), ("a\ud800", "UTF-8")):
        with pytest.raises(UsageError, match=said):
            asked_task("planted", bad)
