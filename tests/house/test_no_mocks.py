"""Fakes ship with the packages; no test replaces a part of ours behind its back."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.house.conftest import Module

# Written in two parts so that this file is not found by a plain search for them.
MOCK_MODULES = {"mock", "unittest." + "mock", "pytest_" + "mock"}
MOCK_NAMES = {"mock" + "er", "Magic" + "Mock", "Async" + "Mock"}
REPLACING = {"setattr", "delattr"}


def mocks(modules: Iterable[Module]) -> list[str]:
    """Imports and names of mocking libraries, and attributes replaced through pytest's monkeypatch."""
    found = []
    for module in modules:
        for node in ast.walk(module.tree):
            names: set[str] = set()
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names} & MOCK_MODULES
            elif isinstance(node, ast.ImportFrom):
                names = {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)} & MOCK_MODULES
            elif isinstance(node, ast.arg):
                names = {node.arg} & MOCK_NAMES
            elif isinstance(node, ast.Name):
                names = {node.id} & MOCK_NAMES
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                names = {node.attr} & REPLACING if node.value.id == "monkeypatch" else set()
            found += [f"{module.path}:{node.lineno} {name}" for name in sorted(names)]  # type: ignore[attr-defined]
    return found


def test_no_mock_anywhere(modules: tuple[Module, ...], test_modules: tuple[Module, ...]) -> None:
    assert mocks((*modules, *test_modules)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import unittest." + "mock",
        "from unittest import " + "mock",
        "from unittest." + "mock import patch",
        "def test_x(mock" + "er): pass",
        "thing = Magic" + "Mock()",
        "def test_x(monkeypatch):\n    monkeypatch.setattr('a.b', None)",
    ],
)
def test_a_mock_is_found(text: str, parse: Callable[[str, str], Module]) -> None:
    assert len(mocks([parse("tests/test_x.py", text)])) >= 1


def test_a_changed_environment_is_no_mock(parse: Callable[[str, str], Module]) -> None:
    text = "def test_x(monkeypatch):\n    monkeypatch.setenv('A', 'b')\n    monkeypatch.chdir('c')"
    assert mocks([parse("tests/test_x.py", text)]) == []
