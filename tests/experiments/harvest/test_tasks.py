"""Harvested tasks: only what is new by its content, and nothing that a split has."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.harvest.tasks import (
    HarvestedTask,
    content_key,
    read_tasks,
    require_new,
    sort_tasks,
    tasks_text,
)
from signatures.errors import UsageError
from signatures.records import Task


def task(digest: str, prompt: str | None = None, benchmark: str = "planted") -> Task:
    return Task(digest=digest, benchmark=benchmark, prompt=prompt or f"Do {digest}.")


SPLITS = {"search": (task("s"),), "dev": (task("d"),), "holdout": (task("h"),)}


def test_what_is_new_is_taken_with_its_episodes() -> None:
    found = sort_tasks({"a": ["e1", "e2"], "b": ["e3"]}, {"a": task("a"), "b": task("b")}, SPLITS, ())
    assert found.tasks == (
        HarvestedTask(task=task("a"), episodes=("e1", "e2")),
        HarvestedTask(task=task("b"), episodes=("e3",)),
    )
    assert found.left_out == {}


@pytest.mark.parametrize("split", ["search", "dev", "holdout"])
def test_a_prompt_that_a_split_has_is_never_harvested_under_whatever_digest(split: str) -> None:
    (there,) = SPLITS[split]
    renamed = task("new", f"  {there.prompt.upper()}\n")
    found = sort_tasks({there.digest: ["e"], "new": ["f"]}, {there.digest: there, "new": renamed}, SPLITS, ())
    assert found.tasks == ()
    assert found.left_out == {f"in the {split} split": 2}


def test_what_an_earlier_harvest_brought_and_what_is_said_twice_is_left_out() -> None:
    asked = {"a": ["e1"], "b": ["e2"], "c": ["e3"], "lost": ["e4"]}
    prompts = {"a": task("a", "one"), "b": task("b", "ONE  "), "c": task("c", "old")}
    found = sort_tasks(asked, prompts, SPLITS, [task("z", "old")])
    assert [one.task.digest for one in found.tasks] == ["a"]
    assert found.left_out == {"said twice": 1, "in an earlier harvest": 1, "no prompt was kept": 1}


def test_a_prompt_that_holds_a_secret_is_no_task() -> None:
    found = sort_tasks(
        {"a": ["e"], "b": ["f"]}, {"a": task("a", "log in with password=hunter22"), "b": task("b")}, {}, ()
    )
    assert [one.task.digest for one in found.tasks] == ["b"]
    assert found.left_out == {"may hold a secret": 1}


@given(prompt=st.text(min_size=1))
def test_case_spacing_and_form_make_no_other_prompt(prompt: str) -> None:
    assert content_key(f" {prompt}\t") == content_key(prompt)
    assert content_key(" ".join(prompt.split())) == content_key(prompt)


def test_other_words_are_another_prompt() -> None:
    assert content_key("repair the fan") != content_key("repair the pump")


@given(prompts=st.lists(st.text(min_size=1), max_size=4))
def test_the_file_is_read_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, prompts: list[str]) -> None:
    tasks = [HarvestedTask(task=task(str(n), prompt), episodes=()) for n, prompt in enumerate(prompts)]
    file = tmp_path_factory.getbasetemp() / "tasks.jsonl"
    file.write_text(tasks_text(tasks), encoding="utf-8")
    assert read_tasks(file, "planted") == tuple(one.task for one in tasks)


def test_a_line_that_is_no_task_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    good = tasks_text([HarvestedTask(task=task("a"), episodes=())])
    file.write_text(good + '{"task": 3}\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"tasks\.jsonl:2: is no harvested task"):
        read_tasks(file, "planted")
    file.write_text(good, encoding="utf-8")
    with pytest.raises(UsageError, match=r"tasks\.jsonl:1: is a task of planted, not of telecom"):
        read_tasks(file, "telecom")
    with pytest.raises(UsageError, match="cannot read harvested tasks"):
        read_tasks(tmp_path / "nowhere", "planted")


def test_what_a_split_has_is_refused_by_digest_and_by_prompt() -> None:
    require_new([task("new")], SPLITS)
    for bad in (task("h", "something else"), task("other", "do H.")):
        with pytest.raises(UsageError, match=f"1 tasks are in the holdout split already: {bad.digest}"):
            require_new([task("new"), bad], SPLITS)
