"""Pieces of other students' correct programs, such as a worker may have seen, fitted to the names of a program.

Source of the idea: Refactory (Hu et al., ASE 2019) repairs a wrong program with blocks of correct ones.
"""

from __future__ import annotations

import ast
from typing import Final, NamedTuple

LARGEST: Final = 2
"""Statements of the largest piece; a function's only statement is never one, so that no piece is a whole solution."""


class Scope:
    """The names of one function: its parameters, and then what it assigns, in order of the first time."""

    def __init__(self, function: ast.FunctionDef) -> None:
        self.parameters = tuple(argument.arg for argument in function.args.args)
        stores = [n for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        assigned = dict.fromkeys(node.id for node in stores)
        self.variables = tuple(name for name in assigned if name not in self.parameters)
        self.names = (*self.parameters, *self.variables)


class Piece(NamedTuple):
    """One statement of a correct program, and the names of the function it stands in."""

    text: str
    scope: Scope


class Fragments:
    """The pieces of one correct program, by kind of statement. Text that is no Python has none."""

    def __init__(self, program: str = "") -> None:
        self._pieces: dict[type[ast.stmt], list[Piece]] = {}
        for function in ast.parse(program).body:
            if isinstance(function, ast.FunctionDef):
                scope = Scope(function)
                for node in ast.walk(function):
                    if isinstance(node, ast.stmt) and _is_piece(node, function):
                        self._pieces.setdefault(type(node), []).append(Piece(ast.unparse(node), scope))

    def like(self, node: ast.stmt, scope: Scope) -> list[ast.stmt]:
        """The pieces of the same kind of statement as `node`, with names replaced by those of `scope`, by position."""
        return [_fitted(piece, scope) for piece in self._pieces.get(type(node), ())]


def _is_piece(node: ast.stmt, function: ast.FunctionDef) -> bool:
    alone = len(function.body) == 1 and node is function.body[0]
    return node is not function and not alone and sum(isinstance(n, ast.stmt) for n in ast.walk(node)) <= LARGEST


def _fitted(piece: Piece, scope: Scope) -> ast.stmt:
    mapping = dict(zip(piece.scope.parameters, scope.parameters, strict=False))
    mapping.update(zip(piece.scope.variables, scope.variables, strict=False))
    statement = ast.parse(piece.text).body[0]
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            node.id = mapping.get(node.id, node.id)
    return statement
