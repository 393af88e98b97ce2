"""Sizes that can still be read: files, functions, arguments; and a first line that says what a module is."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.house.conftest import Module

FILE_LINES: Final = 300
FUNCTION_LINES: Final = 60
ARGUMENTS: Final = 6

Function = ast.FunctionDef | ast.AsyncFunctionDef


def code_lines(text: str) -> int:
    """Lines that are neither empty nor a comment."""
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("#"))


def functions(module: Module) -> Iterator[Function]:
    return (node for node in ast.walk(module.tree) if isinstance(node, Function))


def argument_count(function: Function) -> int:
    """Arguments beside self and cls; `*args` and `**kwargs` count as one each."""
    given = function.args
    named = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return sum(name not in ("self", "cls") for name in named) + sum(a is not None for a in (given.vararg, given.kwarg))


def too_large(modules: Iterable[Module]) -> list[str]:
    found = []
    for module in modules:
        if (lines := code_lines(module.text)) > FILE_LINES:
            found.append(f"{module.path} has {lines} code lines")
        for function in functions(module):
            place = f"{module.path}:{function.lineno} {function.name}"
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES:
                found.append(f"{place} has {lines} lines")
            if (count := argument_count(function)) > ARGUMENTS and not is_command(function):
                found.append(f"{place} has {count} arguments")
    return found


def is_command(function: Function) -> bool:
    """Whether typer reads the signature as a command line: there, an argument is an option."""
    return any(
        isinstance(mark, ast.Call)
        and isinstance(mark.func, ast.Attribute)
        and mark.func.attr in ("command", "callback")
        for mark in function.decorator_list
    )


def test_files_functions_and_argument_lists_are_small(modules: tuple[Module, ...]) -> None:
    assert too_large(modules) == []


def test_every_module_says_first_what_it_is(modules: tuple[Module, ...]) -> None:
    def first_line(module: Module) -> str:
        return (ast.get_docstring(module.tree) or "").partition("\n")[0]

    assert [module.path for module in modules if module.text.strip() and len(first_line(module)) < 10] == []


def test_what_is_too_large_is_found(parse: Callable[[str, str], Module]) -> None:
    assert too_large([parse("a.py", "x = 1\n" * 301)]) == ["a.py has 301 code lines"]
    assert too_large([parse("a.py", "x = 1\n\n# y\n" * 300)]) == []
    assert too_large([parse("a.py", "def f():\n" + "    x = 1\n" * 60)]) == ["a.py:1 f has 61 lines"]
    assert too_large([parse("a.py", "def f(self, a, b, c, *, d, e, **f): ...")]) == []
    assert too_large([parse("a.py", "def f(a, b, c, *d, e, f, g): ...")]) == ["a.py:1 f has 7 arguments"]
    assert too_large([parse("a.py", "@app.command()\ndef f(a, b, c, d, e, f, g): ...")]) == []
