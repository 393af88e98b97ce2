from __future__ import annotations

import ast

from controllers.worlds.refactory_fragments import Fragments, Scope

CORRECT = """
def search(value, items):
    place = 0
    for item in items:
        if item >= value:
            return place
        place += 1
    return place
"""


def function(text: str) -> ast.FunctionDef:
    found = ast.parse(text).body[0]
    assert isinstance(found, ast.FunctionDef)
    return found


def like(fragments: Fragments, text: str, scope: Scope) -> list[str]:
    return [ast.unparse(piece) for piece in fragments.like(ast.parse(text).body[0], scope)]


def test_a_scope_names_parameters_and_then_what_is_assigned() -> None:
    scope = Scope(function("def f(a, b):\n    c = a\n    for d in b:\n        c = d\n        a = c\n"))
    assert (scope.parameters, scope.variables, scope.names) == (("a", "b"), ("c", "d"), ("a", "b", "c", "d"))


def test_pieces_of_the_same_kind_come_with_the_names_of_the_program() -> None:
    mine = Scope(function("def search(x, seq):\n    i = 0\n    for e in seq:\n        pass\n"))
    pieces = Fragments(CORRECT)
    assert like(pieces, "return 3", mine) == ["return i", "return i"]
    assert like(pieces, "if a:\n    b", mine) == ["if e >= x:\n    return i"]
    assert like(pieces, "i += 2", mine) == ["i += 1"]
    assert like(pieces, "pass", mine) == []


def test_no_piece_is_a_whole_solution() -> None:
    mine = Scope(function("def search(x, seq): pass"))
    assert like(Fragments(CORRECT), "for a in b:\n    pass", mine) == []
    assert like(Fragments("def f(x):\n    return sorted(x)"), "return 1", mine) == []
