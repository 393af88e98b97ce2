"""Examples in a docstring: calls of the function that is described, and the values that they must have.

Read, never run: an argument is a Python literal, a value a literal or plain arithmetic of numbers. What is written in
another way is no example. Forms: doctest (`>>> f(1)` over its value, `>>> f(1) == 2`); `f(1) == 2` and the like with
`=`, `=>`, `==>`, `->`, an arrow sign, `returns` or `should return`; `For n = 1, ... should be 2`; `Input: ... Output:`.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

SEPARATOR: Final = re.compile(r"\s*(?:# ?)?(?:={1,2}>|->|➞|==?|returns\b|should\s+return\b)\s*")
_DOCTEST: Final = re.compile(r"^[ \t]*>>> (.+)\n((?:(?![ \t]*>>>)[ \t]*\S.*\n?)*)", re.MULTILINE)
_FOR: Final = re.compile(r"\bFor (?=[A-Za-z_]\w* *=)")
_SHOULD_BE: Final = re.compile(r"[^\n]*?\b(?:output|result) should be ")
_INPUT: Final = re.compile(r"\bInput:\s*(.*?)\s*\bOutput:[ \t]*", re.DOTALL)
_NAMED: Final = re.compile(r"\s*,?\s*([A-Za-z_]\w*)\s*[=:]\s*")
_CALL: Final = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\(")
_BOUNDARY: Final = re.compile(r"(?!\s*[-+*/%])(?:\s|[.,;#)]|$)")
"""Where a value may end: not before an operator, since then it is a part of another."""
_WORDS: Final = {"true": True, "false": False, "null": None}
_ARITHMETIC: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
_MISSING: Final = object()


class Example(NamedTuple):
    """One call and its value, both as Python source of literals."""

    call: str
    value: str


def examples(text: str, name: str, parameters: Sequence[str]) -> tuple[Example, ...]:
    """The examples of the function `name` in the source text of its docstring, each once, in the order written.

    Where no call is of `name`, calls of one other name with as many arguments are taken for it: a slip of the pen.
    """
    found = [*_doctests(text, name), *_calls(text, lambda called: called == name)]
    if not found:
        calls = list(_calls(text, lambda called: True))
        named = {_called(one.call) for _, one in calls}
        if len(named) == 1 and all(_arity(one.call) == len(parameters) for _, one in calls):
            found = [(at, one._replace(call=name + one.call[len(_called(one.call)) :])) for at, one in calls]
    found += [*_fors(text, name, parameters), *_inputs(text, name, parameters)]
    unique: dict[str, Example] = {}
    for _, example in sorted(found):
        unique.setdefault(example.call, example)
    return tuple(unique.values())


def _doctests(text: str, name: str) -> Iterator[tuple[int, Example]]:
    for match in _DOCTEST.finditer(text if text.endswith("\n") else f"{text}\n"):
        tree = _expression(match[1])
        if tree is None or not any(_is_call(node, name) for node in ast.walk(tree)):
            continue
        if isinstance(tree, ast.Compare):
            value = _value(tree.comparators[0]) if isinstance(tree.ops[0], ast.Eq) and len(tree.ops) == 1 else _MISSING
            tree = tree.left
        else:
            value = _read(match[2].strip()) if match[2].strip() else None  # doctest shows nothing of None
        if value is not _MISSING and _plain_call(tree, name):
            yield match.start(), Example(ast.unparse(tree), repr(value))


def _calls(text: str, wanted: Callable[[str], bool]) -> Iterator[tuple[int, Example]]:
    for match in _CALL.finditer(text):
        if not wanted(match[1]) or not (call := _balanced(text, match.start())):
            continue
        separator = SEPARATOR.match(text, match.start() + len(call))
        tree = _expression(call)
        if separator is None or tree is None or not _plain_call(tree, match[1]):
            continue
        line = text[separator.end() :].partition("\n")[0]
        if (value := _longest(line)) is not _MISSING:
            yield match.start(), Example(ast.unparse(tree), repr(value))


def _fors(text: str, name: str, parameters: Sequence[str]) -> Iterator[tuple[int, Example]]:
    for match in _FOR.finditer(text):
        given, end = _assigned(text, match.end())
        should = _SHOULD_BE.match(text, end)
        if should is None or set(given) != set(parameters):
            continue
        value = _longest(text[should.end() :].partition("\n")[0])
        if value is not _MISSING:
            yield match.start(), Example(_call(name, [given[p] for p in parameters]), repr(value))


def _inputs(text: str, name: str, parameters: Sequence[str]) -> Iterator[tuple[int, Example]]:
    """`Input:` is one literal, or names with their values: the parameters', or as many others in the same order."""
    for match in _INPUT.finditer(text):
        value = _longest(text[match.end() :].partition("\n")[0])
        one, (given, _) = _read(match[1]), _assigned(match[1], 0)
        arguments = [one] if one is not _MISSING else list(given.values())
        if set(given) == set(parameters):
            arguments = [given[parameter] for parameter in parameters]
        if value is not _MISSING and len(arguments) == len(parameters):
            yield match.start(), Example(_call(name, arguments), repr(value))


def _assigned(text: str, at: int) -> tuple[dict[str, object], int]:
    """`a = 1, b = [2]` from `at` on: names with values, and where they end."""
    given: dict[str, object] = {}
    while match := _NAMED.match(text, at):
        end = next((e for e in range(match.end() + 1, len(text) + 1) if _whole(text, match.end(), e)), None)
        if end is None:
            break
        given[match[1]], at = _read(text[match.end() : end]), end
    return given, at


def _whole(text: str, start: int, end: int) -> bool:
    return bool(_BOUNDARY.match(text, end)) and _read(text[start:end]) is not _MISSING


def _balanced(text: str, start: int) -> str:
    """The shortest expression from `start` that ends with a closing bracket, or the empty text."""
    ends = (match.end() for match in re.finditer(r"\)", text[start:]))
    return next((text[start : start + end] for end in ends if _expression(text[start : start + end])), "")


def _longest(line: str) -> object:
    """The value of the longest beginning of `line` that has one and ends where a word may end."""
    line = line.strip()
    for end in range(len(line), 0, -1):
        if _BOUNDARY.match(line, end) and not line[:end].endswith(","):
            value = _read(line[:end])
            if value is not _MISSING and (line[0] == "(" or not isinstance(value, tuple)):
                return value
    return _MISSING


def _read(text: str) -> object:
    tree = _expression(text)
    return _MISSING if tree is None else _value(tree)


def _value(node: ast.expr) -> object:
    if isinstance(node, ast.Name) and node.id in _WORDS:
        return _WORDS[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        left, right = _value(node.left), _value(node.right)
        if isinstance(left, int | float) and isinstance(right, int | float):
            return _ARITHMETIC[type(node.op)](left, right)
        return _MISSING
    try:
        value: object = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return _MISSING
    return value if value is not ... else _MISSING


def _expression(text: str) -> ast.expr | None:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _plain_call(node: ast.expr, name: str) -> bool:
    """A call of `name` with literals, or a built-in such as `round` around it."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.keywords:
        return False
    inner = [argument for argument in node.args if isinstance(argument, ast.Call)]
    rest = [argument for argument in node.args if not isinstance(argument, ast.Call)]
    if any(_value(argument) is _MISSING for argument in rest):
        return False
    if node.func.id == name:
        return not inner
    return node.func.id == "round" and len(inner) == 1 and _plain_call(inner[0], name)


def _is_call(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _called(call: str) -> str:
    return call.partition("(")[0]


def _arity(call: str) -> int:
    tree = _expression(call)
    return len(tree.args) if isinstance(tree, ast.Call) else -1


def _call(name: str, arguments: Sequence[object]) -> str:
    return f"{name}({', '.join(map(repr, arguments))})"
