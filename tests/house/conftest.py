"""What the tests of the repository itself look at: its modules, its text files, its commands."""

from __future__ import annotations

import ast
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("signatures", "controllers", "judges", "optimizers", "experiments")
KEPT_OUT = {".git", ".venv", "__pycache__", "runs", "dist", "build"}


class Module(NamedTuple):
    """One Python file: its path from the root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module


def parsed(path: str, text: str) -> Module:
    return Module(path, text, ast.parse(text, path))


def below(*folders: str) -> tuple[Module, ...]:
    files = sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return tuple(parsed(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")) for file in files)


def repository_files() -> Iterator[Path]:
    """What git tracks or would track; where this is no git checkout, all but what is never tracked."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        yield from (file for name in sorted(set(listed.stdout.split("\0")) - {""}) if (file := ROOT / name).is_file())
        return
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(set(folders) - KEPT_OUT)
        yield from (Path(folder) / name for name in sorted(names))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def packages() -> tuple[str, ...]:
    """The five packages, leftmost first."""
    return PACKAGES


@pytest.fixture(scope="session")
def modules() -> tuple[Module, ...]:
    """All modules that ship."""
    return below(*PACKAGES)


@pytest.fixture(scope="session")
def test_modules() -> tuple[Module, ...]:
    return below("tests")


@pytest.fixture(scope="session")
def repository() -> tuple[Path, ...]:
    """All files of the repository."""
    return tuple(repository_files())


@pytest.fixture(scope="session")
def parse() -> Callable[[str, str], Module]:
    """Makes a module from a path and a text: to show that a check finds what it looks for."""
    return parsed


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "command" in metafunc.fixturenames:
        metafunc.parametrize("command", sorted(file.stem for file in (ROOT / "experiments").glob("*_run.py")))
