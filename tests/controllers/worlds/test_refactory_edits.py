from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.worlds.refactory_edits import KINDS, changed, edits, parsed
from controllers.worlds.refactory_fragments import Fragments

PROGRAM = """
def search(x, seq):
    for i in range(len(seq) - 1):
        if x < seq[i]:
            return i
        else:
            return len(seq)
"""
NONE = Fragments()


def tree_of(program: str) -> ast.Module:
    tree = parsed(program)
    assert tree is not None
    return tree


def test_every_kind_of_change_is_admitted_somewhere_and_the_tree_stays() -> None:
    tree = tree_of(PROGRAM)
    before = ast.dump(tree)
    found = edits(tree, NONE)
    assert set(KINDS) >= set(found) >= {"ranges", "conditions", "returns", "empty", "order", "loops", "rewrite"}
    texts = [changed(tree, edit) for group in found.values() for edit in group]
    assert ast.dump(tree) == before
    assert all(parsed(text) is not None for text in texts)


def test_the_repair_is_among_two_changes() -> None:
    def after(program: str) -> set[str]:
        tree = tree_of(program)
        return {changed(tree, edit) for group in edits(tree, NONE).values() for edit in group}

    mended = "def search(x, seq):\n    for i in range(len(seq)):\n        if x <= seq[i]:\n            return i\n"
    mended += "    return len(seq)\n"
    one = PROGRAM.replace("len(seq) - 1", "len(seq)").replace("x <", "x <=")
    assert mended in after(one)


def test_a_change_names_its_kind_and_line() -> None:
    assert edits(tree_of(PROGRAM), NONE)["conditions"][0].line == 4
    assert all(edit.kind == kind for kind, group in edits(tree_of(PROGRAM), NONE).items() for edit in group)


def test_a_statement_taken_out_leaves_a_body() -> None:
    tree = tree_of("def f(x):\n    return x\n")
    assert "def f(x):\n    pass\n" in [changed(tree, edit) for edit in edits(tree, NONE)["returns"]]


def test_a_piece_of_another_program_is_a_rewrite() -> None:
    tree = tree_of(PROGRAM)
    other = Fragments("def search(a, b):\n    n = 0\n    if not b:\n        return n\n    return n\n")
    texts = [changed(tree, edit) for edit in edits(tree, other)["rewrite"]]
    assert any("if not seq:\n            return i" in text for text in texts)


@pytest.mark.parametrize("text", ["def f(:", "x = 'a\n", "\x00"])
def test_what_is_no_python_has_no_tree(text: str) -> None:
    assert parsed(text) is None


@given(st.text(max_size=40))
def test_no_text_is_an_error(text: str) -> None:
    tree = parsed(text)
    assert tree is None or isinstance(edits(tree, NONE), dict)
