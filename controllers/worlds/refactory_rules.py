"""The rules by which a student's program can be changed: kind of node -> what may stand there instead.

Each rule yields pairs of a kind and what replaces the node: a node, or a list of statements. Rules share parts of the
old tree and change none of it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from controllers.worlds.refactory_fragments import Scope

New = ast.AST | list[ast.stmt]
Found = Iterator[tuple[str, New]]

_ORDERINGS: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_OTHER: Final[Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    **{one: tuple(other for other in _ORDERINGS if other is not one) for one in _ORDERINGS},
    ast.Eq: (ast.NotEq, ast.In, ast.LtE, ast.GtE),
    ast.NotEq: (ast.Eq, ast.NotIn),
    ast.In: (ast.NotIn, ast.Eq),
    ast.NotIn: (ast.In, ast.NotEq),
    ast.Is: (ast.IsNot, ast.Eq),
    ast.IsNot: (ast.Is, ast.NotEq),
}
_EMPTY: Final = ("[]", "0", "False", "()")
_START: Final = ("0", "1", "[]", "None", "True", "False")
_LAST_ITEM: Final = "lambda item: item[1]"


def expression(text: str) -> ast.expr:
    """The syntax tree of one expression."""
    return ast.parse(text, mode="eval").body


def _plus(node: ast.expr, step: int) -> ast.expr:
    operator = ast.Add() if step > 0 else ast.Sub()
    return ast.BinOp(left=node, op=operator, right=ast.Constant(value=1))


def _call(name: str, *arguments: ast.expr, **keywords: ast.expr) -> ast.Call:
    given = [ast.keyword(arg=key, value=value) for key, value in keywords.items()]
    return ast.Call(func=ast.Name(id=name, ctx=ast.Load()), args=list(arguments), keywords=given)


def _name_of(node: ast.AST) -> str:
    """The name of what is called: `range`, or `append` for `x.append`."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def constant(node: ast.Constant, scope: Scope) -> Found:
    """A number one more or one less, a truth value turned."""
    if isinstance(node.value, bool):
        yield "returns", ast.Constant(value=not node.value)
    elif isinstance(node.value, int):
        yield "ranges", ast.Constant(value=node.value + 1)
        yield "ranges", ast.Constant(value=node.value - 1)


def call(node: ast.Call, scope: Scope) -> Found:
    """Ranges and lengths one longer or shorter; sorting turned; max for min; append at the front."""
    name = _name_of(node)
    if name in ("range", "len"):
        for index, argument in enumerate(node.args if name == "range" else ()):
            for step in (1, -1):
                args = [*node.args[:index], _plus(argument, step), *node.args[index + 1 :]]
                yield "ranges", ast.Call(func=node.func, args=args, keywords=[])
        if name == "len":
            yield from (("ranges", _plus(node, step)) for step in (1, -1))
    if name in ("sorted", "sort"):
        others = [keyword for keyword in node.keywords if keyword.arg != "reverse"]
        turned = [] if len(others) < len(node.keywords) else [ast.keyword("reverse", ast.Constant(value=True))]
        yield "order", ast.Call(func=node.func, args=node.args, keywords=[*others, *turned])
        if not any(keyword.arg == "key" for keyword in node.keywords):
            key = ast.keyword("key", expression(_LAST_ITEM))
            yield "order", ast.Call(func=node.func, args=node.args, keywords=[key, *node.keywords])
    if name in ("max", "min") and isinstance(node.func, ast.Name):
        yield "order", _call("min" if name == "max" else "max", *node.args)
    if name == "append" and isinstance(node.func, ast.Attribute):
        front = ast.Attribute(value=node.func.value, attr="insert", ctx=ast.Load())
        yield "order", ast.Call(func=front, args=[ast.Constant(value=0), *node.args], keywords=[])


def subscript(node: ast.Subscript, scope: Scope) -> Found:
    """An index one further on or back; another field of a pair."""
    if not isinstance(node.slice, ast.Slice):
        for step in (1, -1):
            yield "ranges", ast.Subscript(value=node.value, slice=_plus(node.slice, step), ctx=node.ctx)
        if isinstance(node.ctx, ast.Load):
            yield "ranges", node.value


def cut(node: ast.Slice, scope: Scope) -> Found:
    """A bound of a slice left out, or one further on or back."""
    for lower, upper in ((None, node.upper), (node.lower, None)):
        yield "ranges", ast.Slice(lower=lower, upper=upper, step=node.step)
    for step in (1, -1):
        if node.lower is not None:
            yield "ranges", ast.Slice(lower=_plus(node.lower, step), upper=node.upper, step=node.step)
        if node.upper is not None:
            yield "ranges", ast.Slice(lower=node.lower, upper=_plus(node.upper, step), step=node.step)


def arithmetic(node: ast.BinOp, scope: Scope) -> Found:
    """One side alone; the two sides swapped; plus for minus."""
    yield "ranges", node.left
    if isinstance(node.op, ast.Add):
        yield "order", ast.BinOp(left=node.right, op=ast.Add(), right=node.left)
    if isinstance(node.op, ast.Add | ast.Sub):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield "ranges", ast.BinOp(left=node.left, op=other, right=node.right)


def comparison(node: ast.Compare, scope: Scope) -> Found:
    """Each comparison by its neighbours; the sides swapped."""
    for index, operator in enumerate(node.ops):
        for other in _OTHER[type(operator)]:
            ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
            yield "conditions", ast.Compare(left=node.left, ops=ops, comparators=node.comparators)
    if len(node.ops) == 1:
        yield "order", ast.Compare(left=node.comparators[0], ops=node.ops, comparators=[node.left])


def junction(node: ast.BoolOp, scope: Scope) -> Found:
    """And for or; one of the parts left out."""
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield "conditions", ast.BoolOp(op=other, values=node.values)
    if len(node.values) == 2:
        yield from (("conditions", value) for value in node.values)


def negation(node: ast.UnaryOp, scope: Scope) -> Found:
    """Without the negation."""
    yield "conditions" if isinstance(node.op, ast.Not) else "ranges", node.operand


def branch(node: ast.If, scope: Scope) -> Found:
    """The condition negated; always; an else branch left out, or taken out and done anyway; a break at the end."""
    yield "conditions", ast.If(ast.UnaryOp(op=ast.Not(), operand=node.test), node.body, node.orelse)
    yield "conditions", list(node.body)
    if node.orelse:
        yield "conditions", ast.If(node.test, node.body, [])
        yield "conditions", [ast.If(node.test, node.body, []), *node.orelse]
        yield "conditions", ast.If(node.test, node.body, [ast.Pass()])
    yield "loops", ast.If(node.test, [*node.body, ast.Break()], node.orelse)
    if len(node.body) > 1:
        yield "loops", [ast.If(node.test, node.body[:-1], node.orelse), node.body[-1]]


def returned(node: ast.Return, scope: Scope) -> Found:
    """Another name; nothing returned here; the value sorted, turned, or made a list."""
    yield "returns", []
    for text in scope.names:
        yield "returns", ast.Return(value=expression(text))
    if node.value is not None:
        backwards = ast.Subscript(
            node.value, ast.Slice(step=ast.UnaryOp(ast.USub(), ast.Constant(value=1))), ast.Load()
        )
        turned = (_call("sorted", node.value), _call("sorted", node.value, reverse=ast.Constant(value=True)))
        keyed = _call("sorted", node.value, key=expression(_LAST_ITEM), reverse=ast.Constant(value=True))
        for new in (*turned, keyed, backwards):
            yield "order", ast.Return(value=new)
        yield "returns", ast.Return(value=_call("list", node.value))


def printed(node: ast.Expr, scope: Scope) -> Found:
    """What was printed, or done for its effect, returned."""
    if isinstance(node.value, ast.Call):
        args = node.value.args
        yield "returns", ast.Return(value=args[0] if _name_of(node.value) == "print" and args else node.value)


def assigned(node: ast.Assign, scope: Scope) -> Found:
    """Another start value."""
    first = [f"{name}[0]" for name in scope.parameters]
    if isinstance(node.value, ast.Constant | ast.List | ast.Tuple):
        for text in (*_START, *first):
            yield "empty", ast.Assign(targets=node.targets, value=expression(text), lineno=0)


def counted(node: ast.AugAssign, scope: Scope) -> Found:
    """Down for up; by one."""
    other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
    yield "loops", ast.AugAssign(target=node.target, op=other, value=node.value)
    yield "loops", ast.AugAssign(target=node.target, op=node.op, value=ast.Constant(value=1))
    yield "loops", ast.AugAssign(target=node.target, op=node.op, value=ast.List(elts=[node.value], ctx=ast.Load()))


def left(node: ast.Break | ast.Continue, scope: Scope) -> Found:
    """The other of break and continue, or neither."""
    yield "loops", ast.Continue() if isinstance(node, ast.Break) else ast.Break()
    yield "loops", []


def loop(node: ast.For | ast.While, scope: Scope) -> Found:
    """Its last statement, or its last branch's `else`, done after it; its first done before it; over a copy."""
    *before, last = node.body
    kind = "returns" if isinstance(last, ast.Return) else "loops"
    yield kind, [_with_body(node, before or [ast.Pass()]), last]
    if isinstance(last, ast.If) and last.orelse:
        shorter = ast.If(last.test, last.body, [])
        yield "returns", [_with_body(node, [*before, shorter]), *last.orelse]
    if len(node.body) > 1:
        kind = "empty" if isinstance(node.body[0], ast.Assign) else "loops"
        yield kind, [node.body[0], _with_body(node, node.body[1:])]
    if isinstance(node, ast.For):
        yield "loops", ast.For(target=node.target, iter=_call("list", node.iter), body=node.body, orelse=[], lineno=0)


def _with_body(node: ast.For | ast.While, body: list[ast.stmt]) -> ast.stmt:
    if isinstance(node, ast.While):
        return ast.While(test=node.test, body=body, orelse=node.orelse)
    return ast.For(target=node.target, iter=node.iter, body=body, orelse=node.orelse, lineno=0)


def function(node: ast.FunctionDef, scope: Scope) -> Found:
    """An empty input answered first; something returned in the end; a parameter copied; what follows a loop in it."""
    for name in scope.parameters:
        for text in (*_EMPTY, name):
            guard = ast.If(ast.UnaryOp(ast.Not(), expression(name)), [ast.Return(expression(text))], [])
            yield "empty", _function(node, [guard, *node.body])
        copy = ast.Assign(targets=[ast.Name(name, ast.Store())], value=_call("list", expression(name)), lineno=0)
        yield "loops", _function(node, [copy, *node.body])
    lengths = [f"len({name})" for name in scope.parameters]
    for text in (*scope.names, *lengths, "False"):
        yield "returns", _function(node, [*node.body, ast.Return(expression(text))])
    for index, (one, following) in enumerate(zip(node.body, node.body[1:], strict=False)):
        if isinstance(one, ast.For | ast.While):
            longer = _with_body(one, [*one.body, following])
            yield "loops", _function(node, [*node.body[:index], longer, *node.body[index + 2 :]])


def _function(node: ast.FunctionDef, body: list[ast.stmt]) -> ast.FunctionDef:
    return ast.FunctionDef(
        name=node.name, args=node.args, body=body, decorator_list=node.decorator_list, returns=node.returns, lineno=0
    )


def name(node: ast.Name, scope: Scope) -> Found:
    """Another name of the function, where this one is read and is the function's own, or is nowhere defined."""
    if isinstance(node.ctx, ast.Load) and (node.id in scope.names or node.id not in _BUILT_IN):
        yield from (("rewrite", expression(other)) for other in scope.names if other != node.id)


_BUILT_IN: Final = frozenset(
    ("len", "range", "list", "tuple", "set", "sorted", "max", "min", "enumerate", "print", "reversed")
)
Rule = Callable[[Any, Scope], Found]  # each rule takes the node type that it stands under
RULES: Final[Mapping[type[ast.AST], Rule]] = {
    ast.Constant: constant,
    ast.Call: call,
    ast.Subscript: subscript,
    ast.Slice: cut,
    ast.BinOp: arithmetic,
    ast.Compare: comparison,
    ast.BoolOp: junction,
    ast.UnaryOp: negation,
    ast.If: branch,
    ast.Return: returned,
    ast.Expr: printed,
    ast.Assign: assigned,
    ast.AugAssign: counted,
    ast.Break: left,
    ast.Continue: left,
    ast.For: loop,
    ast.While: loop,
    ast.FunctionDef: function,
    ast.Name: name,
}
