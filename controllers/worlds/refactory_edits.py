"""Small changes of a student's program: each of a kind, at one node of its syntax tree.

The kinds are the actions of the table: what a steer names is what a worker can try. Nothing here is told which change
is right.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from controllers.worlds.refactory_fragments import Fragments, Scope
from controllers.worlds.refactory_rules import RULES, New

KINDS: Final = ("ranges", "conditions", "returns", "empty", "order", "loops", "rewrite")


class Edit(NamedTuple):
    """One change: its kind, the line it is on, the node and what stands there instead."""

    kind: str
    line: int
    "0 where the node has none"
    node: ast.AST
    new: New


def parsed(program: str) -> ast.Module | None:
    """The syntax tree, None where the text is no Python."""
    try:
        return ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def edits(tree: ast.Module, fragments: Fragments) -> dict[str, list[Edit]]:
    """Kind -> every change of that kind that the program admits, in a fixed order; kinds without any are left out."""
    found: dict[str, list[Edit]] = {}
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            scope = Scope(function)
            for node in ast.walk(function):
                for kind, new in _changes(node, scope, fragments):
                    found.setdefault(kind, []).append(Edit(kind, getattr(node, "lineno", 0), node, new))
    return {kind: found[kind] for kind in KINDS if kind in found}


def changed(tree: ast.Module, edit: Edit) -> str:
    """The program with the change made, as text; the tree stays as it is."""
    new = _rebuilt(tree, edit)
    return ast.unparse(ast.fix_missing_locations(new)) + "\n"


def _changes(node: ast.AST, scope: Scope, fragments: Fragments) -> Iterator[tuple[str, New]]:
    rule = RULES.get(type(node))
    if rule is not None:
        yield from rule(node, scope)
    if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef):
        yield "rewrite", []
        yield from (("rewrite", piece) for piece in fragments.like(node, scope))


def _rebuilt(node: ast.AST, edit: Edit) -> ast.AST:
    """A copy of the nodes above the edit; what it does not touch is shared."""
    fields: dict[str, object] = {}
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            items = [item for old in value for item in _replaced(old, edit)]
            needs_one = name == "body" and not items and isinstance(node, ast.stmt)
            fields[name] = [ast.Pass()] if needs_one else items
        elif isinstance(value, ast.AST):
            fields[name] = _replaced(value, edit)[0]
        else:
            fields[name] = value
    return type(node)(**fields)


def _replaced(old: object, edit: Edit) -> Sequence[object]:
    if old is edit.node:
        return edit.new if isinstance(edit.new, list) else [edit.new]
    return [_rebuilt(old, edit)] if isinstance(old, ast.AST) else [old]
