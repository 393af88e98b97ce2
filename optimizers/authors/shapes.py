"""Strategy programs as syntax trees: their shots, what is bound where, and statements made from text."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from controllers.policies.rule import Condition
from controllers.programs.language import BUILTINS

MADE: Final = "shot"
"""The name that programs made here keep their latest shot under."""
_FREE: Final = frozenset(("ctx", *BUILTINS))


class Site(NamedTuple):
    """Where a program takes one shot: the statement `name = await ctx.shot(...)` in a body."""

    body: list[ast.stmt]
    place: int
    name: str
    call: ast.Call
    looped: bool


def parsed(source: str) -> ast.AsyncFunctionDef:
    """The function of a program that is in the language."""
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.AsyncFunctionDef)
    return function


def unparsed(function: ast.AsyncFunctionDef) -> str:
    """The canonical text: what `ast.unparse` makes of it, with a newline at the end."""
    return ast.unparse(ast.fix_missing_locations(function)) + "\n"


def statements(text: str) -> list[ast.stmt]:
    """The statements in a text that may await."""
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    return parsed(f"async def strategy(ctx):\n{indented}").body


def condition_text(condition: Condition, name: str) -> str:
    """The condition on the features after a shot; what was not observed counts as 0, as in the space of rules."""
    return f"{name}.features.get({condition.feature!r}, 0.0) {condition.op} {condition.value!r}"


def shot_text(name: str, *, start: str | None = None, steer: str = "none") -> str:
    """The statement that takes one shot."""
    given = [f"{key}={value!r}" for key, value in (("start", start), ("steer", steer)) if value not in (None, "none")]
    return f"{name} = await ctx.shot({', '.join(given)})"


def bodies(function: ast.AsyncFunctionDef) -> Iterator[tuple[list[ast.stmt], bool]]:
    """Every list of statements, outermost first, and whether it stands in a loop."""
    todo: list[tuple[list[ast.stmt], bool]] = [(function.body, False)]
    while todo:
        body, looped = todo.pop(0)
        yield body, looped
        for one in body:
            inner = looped or isinstance(one, ast.For)
            for part in ("body", "orelse"):
                nested = getattr(one, part, None)
                if isinstance(nested, list) and nested:
                    todo.append((nested, inner))


def shot_sites(function: ast.AsyncFunctionDef) -> list[Site]:
    """Every place where one shot is taken and kept under a name."""
    found = []
    for body, looped in bodies(function):
        for index, one in enumerate(body):
            if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
                call = _awaited(one.value)
                if call is not None and _method(call) == "shot":
                    found.append(Site(body, index, one.targets[0].id, call, looped))
    return found


def shot_calls(source: str) -> list[ast.Call]:
    """Every call of `ctx.shot`, kept under a name or not."""
    return [one for one in ast.walk(parsed(source)) if isinstance(one, ast.Call) and _method(one) == "shot"]


def argument(call: ast.Call, name: str) -> object:
    """The constant that a shot's call gives `start` or `steer`, or the one that stands for it unsaid."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value.value if isinstance(keyword.value, ast.Constant) else None
    place = 0 if name == "start" else 1
    if len(call.args) > place:
        given = call.args[place]
        return given.value if isinstance(given, ast.Constant) else None
    return None if name == "start" else "none"


def gives(call: ast.Call, name: str) -> bool:
    """Whether a shot's call says its `start` or `steer` as anything but None."""
    place = 0 if name == "start" else 1
    given = [keyword.value for keyword in call.keywords if keyword.arg == name] + call.args[place : place + 1]
    return any(not (isinstance(one, ast.Constant) and one.value is None) for one in given)


def unbound(function: ast.AsyncFunctionDef) -> bool:
    """Whether a name may be read before anything was bound to it. A loop is taken to run not at all."""
    return _sequence(function.body, set(_FREE)) is None


def _sequence(body: Sequence[ast.stmt], known: set[str]) -> set[str] | None:
    """What is bound after the statements; None where one of them may read an unbound name."""
    for one in body:
        after = _statement(one, known)
        if after is None:
            return None
        known = after
    return known


def _statement(one: ast.stmt, known: set[str]) -> set[str] | None:
    if isinstance(one, ast.If):
        sides = [_sequence(side, set(known)) for side in (one.body, one.orelse)]
        bound = [side for side in sides if side is not None]
        if len(bound) < 2 or not _reads(one.test, known):
            return None
        ends = [side for side, body in zip(bound, (one.body, one.orelse), strict=True) if not _leaves(body)]
        return set.intersection(*ends) if ends else known
    if isinstance(one, ast.For):
        looped = _reads(one.iter, known) and _sequence(one.body, known | _targets(one.target)) is not None
        return known if looped and _sequence(one.orelse, set(known)) is not None else None
    if isinstance(one, ast.Assign):
        return known.union(*map(_targets, one.targets)) if _reads(one.value, known) else None
    return known if _reads(one, known) else None


def _reads(node: ast.AST, known: set[str]) -> bool:
    """Whether every name that is read is bound; a comprehension's own names count as bound in all of it."""
    own = {n.id for c in ast.walk(node) if isinstance(c, ast.comprehension) for n in _names(c.target)}
    used = {n.id for n in _names(node) if isinstance(n.ctx, ast.Load) or isinstance(node, ast.AugAssign)}
    return used <= known | own


def _names(node: ast.AST) -> list[ast.Name]:
    return [one for one in ast.walk(node) if isinstance(one, ast.Name)]


def _targets(node: ast.expr) -> set[str]:
    return {name.id for name in _names(node) if isinstance(name.ctx, ast.Store)}


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Return | ast.Break | ast.Continue)


def _awaited(value: ast.expr) -> ast.Call | None:
    return value.value if isinstance(value, ast.Await) and isinstance(value.value, ast.Call) else None


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def consults(source: str) -> bool:
    """Whether the program asks a model."""
    calls = (one for one in ast.walk(parsed(source)) if isinstance(one, ast.Call))
    return any(_method(call) == "consult" for call in calls)
