"""The part of Python that strategy programs are written in: what a syntax tree may hold. Standard library only.

It is read twice: by `language.check` before a source is kept or sent, and by the child process before it compiles one.
Everything that is not named here is refused, so a new kind of syntax is refused until somebody has thought about it.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

MAX_CHARACTERS, MAX_NODES, MAX_DEPTH = 8_000, 2_000, 60
MAX_TEXT, MAX_NUMBER, MAX_RANGE = 500, 10**9, 64

BUILTINS = (
    *("range", "len", "min", "max", "abs", "sum", "sorted", "enumerate", "round"),
    *("any", "all", "zip", "int", "float", "str", "bool"),
)
KEYWORDS = {"sorted": ("reverse",), "min": ("default",), "max": ("default",), "enumerate": ("start",)}
CALLS = {
    "shot": ("start", "steer"),
    "shots": ("n",),
    "critique": (),
    "consult": ("policy", "options"),
    "list_tools": (),
    "budget": (),
}
"""Methods of `ctx`, each with the names of its arguments."""
SHOT_ATTRIBUTES = (
    *("passed", "correct", "progress", "turns", "errors", "repeats"),
    *("outcome", "action", "index", "features"),
)
LEFT_ATTRIBUTES = ("attempts", "turns", "usd")
TOOLS_ATTRIBUTES = ("tools", "actions")
ATTRIBUTES = frozenset((*SHOT_ATTRIBUTES, *LEFT_ATTRIBUTES, *TOOLS_ATTRIBUTES))
METHODS = ("append", "get", "items", "keys", "values")

_PLAIN: tuple[type[ast.AST], ...] = (
    *(ast.If, ast.Break, ast.Continue, ast.Pass, ast.BoolOp, ast.UnaryOp, ast.IfExp, ast.BinOp),
    *(ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn),
    *(ast.List, ast.Tuple, ast.ListComp, ast.DictComp, ast.Slice, ast.Load, ast.Store, ast.keyword),
)
_MEND: dict[type[ast.AST], tuple[str, str]] = {
    ast.Import: ("an import", "a program has ctx and the built-in functions, nothing else"),
    ast.ImportFrom: ("an import", "a program has ctx and the built-in functions, nothing else"),
    ast.While: ("a while loop", "write `for _ in range(n)` with n of at most 64, and `break`"),
    ast.Try: ("try", "a program cannot catch errors: test for what would fail"),
    ast.TryStar: ("try", "a program cannot catch errors: test for what would fail"),
    ast.Lambda: ("a lambda", "write a comprehension or a loop"),
    ast.FunctionDef: ("a function inside the program", "a program is one function: write the steps out"),
    ast.AsyncFunctionDef: ("a function inside the program", "a program is one function: write the steps out"),
    ast.ClassDef: ("a class", "use lists and dicts"),
    ast.Set: ("a set", "use a list or a tuple: a set has no fixed order"),
    ast.SetComp: ("a set", "use a list: a set has no fixed order"),
    ast.JoinedStr: ("a format string", "put texts together with +"),
    ast.Pow: ("**", "multiply"),
    ast.NamedExpr: (":=", "assign on a line of its own"),
    ast.Starred: ("a * before a value", "write the values out"),
}


class Refused(ValueError):
    """A text that is not in the language."""

    def __init__(self, line: int, what: str, mend: str) -> None:
        super().__init__(f"line {line}: {what}; {mend}")
        self.line, self.what, self.mend = line, what, mend


def parse(source: str) -> ast.Module:
    """The checked syntax tree. Raises Refused for everything that is not in the language, and nothing else."""
    tree = _tree(source)
    function = _function(tree)
    nodes = list(_nodes(tree))
    assigned = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    parents = {id(child): node for node in nodes for child in ast.iter_child_nodes(node)}
    checker = _Checker(parents, assigned)
    for node in nodes:
        if node is not tree and node is not function and not isinstance(node, ast.arguments | ast.arg):
            checker.check(node)
    _compiles(tree)
    return tree


def _compiles(tree: ast.Module) -> None:
    """What only the compiler sees, such as a `break` outside a loop or too many loops in each other."""
    try:
        compile(tree, "<strategy>", "exec")
    except SyntaxError as error:
        raise Refused(error.lineno or 1, f"not Python: {error.msg}", "mend the syntax") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Refused(1, f"not readable: {type(error).__name__}", "nest less") from None


def _tree(source: str) -> ast.Module:
    if not isinstance(source, str):
        raise Refused(1, "not a text", "send the source")
    if len(source) > MAX_CHARACTERS:
        raise Refused(1, f"{len(source)} characters", f"a program has at most {MAX_CHARACTERS}")
    for number, line in enumerate(source.split("\n"), 1):
        for bad in line:
            if bad == "\\" or (bad != "\t" and not bad.isprintable()):
                raise Refused(number, f"the character {bad!r}", "use plain text, without backslashes")
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise Refused(error.lineno or 1, f"not Python: {error.msg}", "mend the syntax") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Refused(1, f"not readable: {type(error).__name__}", "nest less") from None


def _nodes(tree: ast.Module) -> Iterator[ast.AST]:
    """All nodes, in the order of the text's levels, without recursion. Raises Refused where there are too many."""
    level: list[ast.AST] = [tree]
    count, depth = 0, 0
    while level:
        count += len(level)
        depth += 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            what = f"more than {MAX_NODES} parts" if count > MAX_NODES else f"nested deeper than {MAX_DEPTH}"
            raise Refused(getattr(level[0], "lineno", 1), what, "write a shorter program")
        yield from level
        level = [child for node in level for child in ast.iter_child_nodes(node)]


def _function(tree: ast.Module) -> ast.AsyncFunctionDef:
    form = "write one function, `async def strategy(ctx):`, and nothing beside it"
    found = tree.body[0] if tree.body else None
    if len(tree.body) != 1 or not isinstance(found, ast.AsyncFunctionDef) or found.name != "strategy":
        line = getattr(tree.body[-1], "lineno", 1) if tree.body else 1
        raise Refused(line, "not one function called strategy", form)
    given = found.args
    if found.decorator_list or found.returns or found.type_comment or getattr(found, "type_params", None):
        raise Refused(found.lineno, "a decorator or an annotation", form)
    extra = given.posonlyargs or given.kwonlyargs or given.vararg or given.kwarg or given.defaults or given.kw_defaults
    if extra or [a.arg for a in given.args] != ["ctx"] or given.args[0].annotation:
        raise Refused(found.lineno, "other arguments than ctx", form)
    return found


class _Checker:
    """Looks at one node at a time, with its parent."""

    def __init__(self, parents: dict[int, ast.AST], assigned: set[str]) -> None:
        self._parents = parents
        self._assigned = assigned

    def check(self, node: ast.AST) -> None:
        """Raise Refused where `node` may not stand where it stands."""
        special = getattr(self, f"_{type(node).__name__.lower()}", None)
        if special is not None:
            special(node)
        elif not isinstance(node, _PLAIN):
            what, mend = _MEND.get(type(node), (f"{type(node).__name__}", "this is not part of the language"))
            raise self._refused(node, what, mend)

    def _refused(self, node: ast.AST, what: str, mend: str) -> Refused:
        at: ast.AST | None = node
        while at is not None and not hasattr(at, "lineno"):
            at = self._parents.get(id(at))
        return Refused(getattr(at, "lineno", 1), what, mend)

    def _parent(self, node: ast.AST) -> ast.AST:
        return self._parents[id(node)]

    def _name(self, node: ast.Name) -> None:
        name, parent = node.id, self._parent(node)
        if name.startswith("_") and name != "_":
            raise self._refused(node, f"the name {name}", "names do not begin with an underscore")
        if isinstance(node.ctx, ast.Store):
            if name == "ctx" or name in BUILTINS or name == "strategy":
                raise self._refused(node, f"a new value for {name}", "choose another name")
        elif name == "ctx":
            if not (isinstance(parent, ast.Attribute) and parent.attr in CALLS):
                raise self._refused(node, "ctx as a value", f"write `await ctx.<one of {', '.join(CALLS)}>(...)`")
        elif name in BUILTINS:
            if not (isinstance(parent, ast.Call) and parent.func is node):
                raise self._refused(node, f"{name} as a value", "call it")
        elif name not in self._assigned:
            raise self._refused(node, f"the name {name}", f"nothing assigns it; functions are {', '.join(BUILTINS)}")

    def _attribute(self, node: ast.Attribute) -> None:
        parent = self._parent(node)
        called = isinstance(parent, ast.Call) and parent.func is node
        if not isinstance(node.ctx, ast.Load):
            raise self._refused(node, f"a new value for .{node.attr}", "keep it in a name of its own")
        if isinstance(node.value, ast.Name) and node.value.id == "ctx":
            if node.attr not in CALLS or not called:
                raise self._refused(node, f"ctx.{node.attr}", f"ctx has the calls {', '.join(CALLS)}")
        elif called and node.attr not in METHODS:
            raise self._refused(node, f"a call of .{node.attr}", f"methods are {', '.join(METHODS)}")
        elif not called and node.attr not in ATTRIBUTES:
            raise self._refused(node, f"the attribute .{node.attr}", f"there are {', '.join(sorted(ATTRIBUTES))}")

    def _call(self, node: ast.Call) -> None:
        function, parent = node.func, self._parent(node)
        if isinstance(function, ast.Attribute):
            if isinstance(function.value, ast.Name) and function.value.id == "ctx":
                if not isinstance(parent, ast.Await):
                    raise self._refused(node, f"ctx.{function.attr} without await", "write await before it")
                self._arguments(node, CALLS.get(function.attr, ()), len(CALLS.get(function.attr, ())))
                return
            self._arguments(node, (), 2)
        elif isinstance(function, ast.Name) and function.id in BUILTINS:
            self._arguments(node, KEYWORDS.get(function.id, ()), 4)
            self._range(node, function.id)
        else:
            name = function.id if isinstance(function, ast.Name) else "something else"
            raise self._refused(node, f"a call of {name}", f"functions are {', '.join(BUILTINS)}")

    def _arguments(self, node: ast.Call, named: tuple[str, ...], most: int) -> None:
        given = [keyword.arg for keyword in node.keywords]
        if any(name not in named for name in given):
            known = ", ".join(named) or "none"
            raise self._refused(node, "an argument with another name", f"named arguments here: {known}")
        if len(node.args) + len(given) > most:
            raise self._refused(node, "too many arguments", f"at most {most} here")

    def _range(self, node: ast.Call, name: str) -> None:
        whole = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, int)]
        if name == "range" and len(node.args) == 1 and whole and whole[0] > MAX_RANGE:
            raise self._refused(node, f"range({whole[0]})", f"a loop has at most {MAX_RANGE} rounds")

    def _await(self, node: ast.Await) -> None:
        call = node.value
        function = call.func if isinstance(call, ast.Call) else None
        of = function.value if isinstance(function, ast.Attribute) else None
        if not (isinstance(of, ast.Name) and of.id == "ctx"):
            raise self._refused(node, "await of something else", "only calls of ctx are awaited")
        at: ast.AST | None = node
        while at is not None:
            if isinstance(at, ast.GeneratorExp | ast.DictComp):
                raise self._refused(node, "await inside a generator", "use a list comprehension or a loop")
            at = self._parents.get(id(at))

    def _constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                raise self._refused(node, f"a text of {len(value)} characters", f"at most {MAX_TEXT}")
            if node.kind:
                raise self._refused(node, "a prefix before a text", "leave it out")
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise self._refused(node, "a number that is not finite", "write a finite one")
        elif value is not None and not isinstance(value, bool):
            if not isinstance(value, int):
                raise self._refused(node, f"a value of type {type(value).__name__}", "use numbers and texts")
            if abs(value) > MAX_NUMBER:
                raise self._refused(node, "a very large number", f"at most {MAX_NUMBER}")

    def _compare(self, node: ast.Compare) -> None:
        for op, left, right in zip(node.ops, [node.left, *node.comparators], node.comparators, strict=False):
            nothing = isinstance(right, ast.Constant) and right.value is None and not isinstance(left, ast.Constant)
            if isinstance(op, ast.Is | ast.IsNot) and not nothing:
                raise self._refused(node, "`is` with something else than None", "write ==")

    def _return(self, node: ast.Return) -> None:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            mend = "write `return` alone: nothing a program returns is read, scores come from the checkers"
            raise self._refused(node, "a returned value", mend)

    def _expr(self, node: ast.Expr) -> None:
        value = node.value
        docstring = isinstance(value, ast.Constant) and isinstance(value.value, str)
        kept = not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name) or value.func.id in BUILTINS
        append = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "append"
        if kept and not (docstring or append or isinstance(value, ast.Await | ast.Yield | ast.YieldFrom)):
            raise self._refused(node, "a value that is thrown away", "await a call of ctx, or assign it")

    def _assign(self, node: ast.Assign) -> None:
        if node.type_comment:
            raise self._refused(node, "a type comment", "leave it out")
        for target in node.targets:
            self._target(target, subscript=True)

    def _augassign(self, node: ast.AugAssign) -> None:
        if not isinstance(node.target, ast.Name):
            raise self._refused(node, "a change in place of an item", "write d[k] = d[k] + 1")

    def _for(self, node: ast.For) -> None:
        self._target(node.target)

    def _comprehension(self, node: ast.comprehension) -> None:
        if node.is_async:
            raise self._refused(node, "async for", "only calls of ctx are awaited")
        self._target(node.target)

    def _target(self, target: ast.expr, *, subscript: bool = False) -> None:
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        for name in names:
            item = subscript and isinstance(name, ast.Subscript) and isinstance(name.value, ast.Name)
            if not (isinstance(name, ast.Name) or item):
                raise self._refused(target, "this kind of target", "assign to names, or to an item of a named dict")

    def _subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.ctx, ast.Store) and isinstance(node.slice, ast.Slice):
            raise self._refused(node, "an assignment to a slice", "assign one item")
        if isinstance(node.ctx, ast.Del):
            raise self._refused(node, "del", "assign another value")

    def _dict(self, node: ast.Dict) -> None:
        if any(key is None for key in node.keys):
            raise self._refused(node, "** in a dict", "write the items out")

    def _generatorexp(self, node: ast.GeneratorExp) -> None:
        parent = self._parent(node)
        if not (isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name)):
            raise self._refused(node, "a generator as a value", "use a list comprehension")
