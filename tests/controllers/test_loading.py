"""Plug-ins are found by file name, the user's by module and class, and nothing else is."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controllers.loading import Loader, imported, load_worker
from controllers.testing_workers import a_context
from controllers.workers.function import FunctionWorker
from controllers.workers.scripted import ScriptedWorker
from signatures.errors import UsageError
from signatures.records import Task

LOADER = Loader("controllers")
TASK = Task(digest="d", benchmark="b", prompt="p")
USER = """
from controllers.workers.scripted import ScriptedWorker

class Mine(ScriptedWorker):
    pass

class Needy(ScriptedWorker):
    def __init__(self, must, have):
        pass

class NoWorker:
    pass

def answer(prompt, steer):
    return prompt.upper() + steer

value = 3
"""


@pytest.fixture
def user_module(tmp_path: Path) -> Iterator[str]:
    name = "users_own_workers"
    (tmp_path / f"{name}.py").write_text(USER)
    (tmp_path / "broken_worker.py").write_text("def (:")
    sys.path.insert(0, str(tmp_path))
    yield name
    sys.path.remove(str(tmp_path))
    sys.modules.pop(name, None)


def test_every_file_of_the_rooms_exports_one_class() -> None:
    for group in ("workers", "checkers"):
        assert LOADER.ids(group)
        for id in LOADER.ids(group):
            assert inspect.isclass(LOADER.load(group, id))


def test_the_file_name_is_the_id() -> None:
    assert LOADER.load("workers", "scripted") is ScriptedWorker
    assert {"chat", "command", "function", "scripted"} <= set(LOADER.ids("workers"))
    assert {"clean", "clock", "meter", "security", "tests"} <= set(LOADER.ids("checkers"))


def test_an_unknown_id_names_the_closest_and_all() -> None:
    with pytest.raises(UsageError, match=r"no workers called 'scriptd': did you mean 'scripted'\? there are .*chat"):
        LOADER.load("workers", "scriptd")


@pytest.mark.parametrize("group", ["benchmarks", "no_such", "workers.scripted", "..judges", "../judges", ""])
def test_groups_outside_its_package_are_refused(group: str) -> None:
    with pytest.raises(UsageError, match="not a group of plug-ins of controllers"):
        LOADER.load(group, "x")


@pytest.mark.parametrize("id", ["__init__", "../loop", "scripted.py", "", "os.path"])
def test_ids_that_are_no_file_of_the_group_are_refused(id: str) -> None:
    with pytest.raises(UsageError, match="no workers called"):
        LOADER.load("workers", id)


def test_a_users_class_and_function_are_found(user_module: str) -> None:
    assert LOADER.load("workers", f"{user_module}:Mine").__name__ == "Mine"
    assert isinstance(load_worker(f"{user_module}:Mine"), ScriptedWorker)
    assert isinstance(load_worker(f"{user_module}:answer"), FunctionWorker)


async def test_the_default_worker_needs_nothing() -> None:
    result = await load_worker("scripted").attempt(TASK, a_context(), None)
    assert result.output in ("solved", "unsolved")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:X", "cannot import 'no_such_module'"),
        ("broken_worker:X", "cannot import 'broken_worker'"),
        ("users_own_workers:Mime", r"has no 'Mime': did you mean 'Mine'\?"),
        ("users_own_workers:value", "is a int, not a class"),
        ("users_own_workers:Needy", "needs must, have"),
        ("users_own_workers:NoWorker", "is not a worker"),
        (":X", "cannot import"),
        ("chat", "needs lm"),
        ("command", "needs config"),
    ],
)
def test_what_cannot_be_used_says_why(name: str, message: str, user_module: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_worker(name)


def test_any_attribute_can_be_imported(user_module: str) -> None:
    assert imported(f"{user_module}:value") == 3
