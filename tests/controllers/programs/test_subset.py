"""The checked tree, as the child sees it. What is refused, one by one: test_red_team.py."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from controllers.programs import subset


def test_the_tree_comes_back() -> None:
    tree = subset.parse("async def strategy(ctx):\n    return\n")
    assert isinstance(tree.body[0], ast.AsyncFunctionDef)


def test_what_is_not_a_text_is_refused() -> None:
    with pytest.raises(subset.Refused, match="not a text"):
        subset.parse(b"async def strategy(ctx): pass")  # type: ignore[arg-type]  # as a forged message might


def test_every_kind_of_syntax_is_taken_or_refused_by_name() -> None:
    """A kind of syntax that a later Python brings is refused until it is named."""
    checker = subset._Checker({}, set())
    for kind in (ast.Delete, ast.Global, ast.Match, ast.YieldFrom, ast.AsyncFor, ast.With, ast.MatMult, ast.BitOr):
        with pytest.raises(subset.Refused, match="not part of the language"):
            checker.check(kind())


def test_a_refusal_keeps_its_parts() -> None:
    with pytest.raises(subset.Refused) as refused:
        subset.parse("async def strategy(ctx):\n    x = (lambda: 1)\n")
    assert (refused.value.line, refused.value.what) == (2, "a lambda")


@pytest.mark.parametrize("name", ["subset.py", "guards.py"])
def test_it_stands_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(Path(subset.__file__).with_name(name).read_text())
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(tmp_path / name)], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")
