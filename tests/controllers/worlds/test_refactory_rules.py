from __future__ import annotations

import ast

import pytest

from controllers.worlds.refactory_fragments import Scope
from controllers.worlds.refactory_rules import RULES

HEAD = "def f(lst, k):\n    best = 0\n"
SCOPE = Scope(next(n for n in ast.walk(ast.parse(HEAD)) if isinstance(n, ast.FunctionDef)))


def changes(text: str, kind: type[ast.AST]) -> set[tuple[str, str]]:
    """(kind of change, what stands there instead) for the first node of that type."""
    node = next(node for node in ast.walk(ast.parse(text)) if isinstance(node, kind))
    return {(name, written(new)) for name, new in RULES[kind](node, SCOPE)}


def written(new: ast.AST | list[ast.stmt]) -> str:
    body = new if isinstance(new, list) else [new]
    return "\n".join(ast.unparse(ast.fix_missing_locations(one)) for one in body)


@pytest.mark.parametrize(
    ("text", "node", "expected"),
    [
        ("3", ast.Constant, {("ranges", "4"), ("ranges", "2")}),
        ("True", ast.Constant, {("returns", "False")}),
        ("a < b", ast.Compare, {("conditions", "a <= b"), ("conditions", "a > b"), ("order", "b < a")}),
        ("range(n)", ast.Call, {("ranges", "range(n + 1)"), ("ranges", "range(n - 1)")}),
        ("len(x)", ast.Call, {("ranges", "len(x) + 1"), ("ranges", "len(x) - 1")}),
        ("max(x)", ast.Call, {("order", "min(x)")}),
        ("sorted(x, reverse=True)", ast.Call, {("order", "sorted(x)")}),
        ("r.append(x)", ast.Call, {("order", "r.insert(0, x)")}),
        ("x[i]", ast.Subscript, {("ranges", "x[i + 1]"), ("ranges", "x")}),
        ("x[1:n]", ast.Slice, {("ranges", ":n"), ("ranges", "1:n + 1")}),
        ("a + b", ast.BinOp, {("order", "b + a"), ("ranges", "a - b"), ("ranges", "a")}),
        ("a and b", ast.BoolOp, {("conditions", "a or b"), ("conditions", "b")}),
        ("not a", ast.UnaryOp, {("conditions", "a")}),
        ("if a:\n    b\nelse:\n    c", ast.If, {("conditions", "if a:\n    b\nc"), ("conditions", "b")}),
        ("return x", ast.Return, {("returns", ""), ("returns", "return best"), ("order", "return x[::-1]")}),
        ("print(x)", ast.Expr, {("returns", "return x")}),
        ("best = 0", ast.Assign, {("empty", "best = lst[0]"), ("empty", "best = []")}),
        ("n += 1", ast.AugAssign, {("loops", "n -= 1")}),
        ("while a:\n    break", ast.Break, {("loops", "continue"), ("loops", "")}),
        ("for a in b:\n    c\n    return d", ast.For, {("returns", "for a in b:\n    c\nreturn d")}),
        ("while a:\n    b = 0\n    c", ast.While, {("empty", "b = 0\nwhile a:\n    c")}),
        ("other", ast.Name, {("rewrite", "lst"), ("rewrite", "best")}),
    ],
)
def test_what_may_stand_there_instead(text: str, node: type[ast.AST], expected: set[tuple[str, str]]) -> None:
    assert expected <= changes(text, node)


def test_a_function_answers_an_empty_input_first_or_returns_in_the_end() -> None:
    found = changes("def f(lst, k):\n    best = 0\n    for a in lst:\n        best = a\n    c", ast.FunctionDef)
    texts = {kind: [text for name, text in found if name == kind] for kind in ("empty", "returns", "loops")}
    assert any("if not lst:\n        return []" in text for text in texts["empty"])
    assert any(text.endswith("return best") for text in texts["returns"])
    assert any("best = a\n        c" in text for text in texts["loops"])


def test_names_of_built_ins_stay() -> None:
    assert changes("len", ast.Name) == set()
