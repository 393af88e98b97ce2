"""What a strategy program's operations really do: counted, and bounded in size. Standard library only.

`instrument` rewrites a checked syntax tree so that every operator, item, attribute, method and loop goes through a
`Guard`. So the steps of a run are the same on every machine, no value grows beyond what is useful, and no operation
can see an address, a hash or anything else that differs between two runs.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from types import GeneratorType

MAX_ITEMS, MAX_TEXT, MAX_INT, MAX_RANGE = 1_000, 10_000, 2**63, 64
SCALARS = (int, float, str, type(None))  # bool is an int
SEVERAL = (list, tuple, range, dict, str, KeysView, ValuesView, ItemsView)
METHODS: Mapping[type, tuple[str, ...]] = {list: ("append",), dict: ("get", "items", "keys", "values")}

_ARITHMETIC: Mapping[str, Callable[[int, int], object]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
}
_ORDER: Mapping[str, Callable[[int, int], bool]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
}


class Broken(Exception):
    """A program broke a rule while it ran: `kind` as in `ProgramFault`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Guard:
    """The operations of one run, which may take `steps`."""

    def __init__(self, steps: int, records: tuple[type, ...]) -> None:
        """`records`: the types whose attributes may be read."""
        self._steps, self._left = steps, steps
        self._records = records

    def names(self) -> dict[str, object]:
        """Everything that instrumented code can name."""
        own = (self.op, self.compare, self.item, self.key, self.attribute, self.method, self.each)
        built_in: tuple[Callable[..., object], ...]
        built_in = (self.min_, self.max_, self.sum_, self.sorted_, self.enumerate_, self.any_, self.all_, self.zip_)
        built_in += (self.range_, self.len_, self.abs_, self.round_, self.int_, self.float_, self.str_)
        return {
            "__builtins__": {},
            "bool": bool,
            "_slice": slice,
            **{f"_{one.__name__}": one for one in own},
            **{one.__name__[:-1]: one for one in built_in},
        }

    def tick(self, steps: int = 1) -> None:
        """Count. Raises Broken (cpu)."""
        self._left -= steps
        if self._left < 0:
            raise Broken("cpu", f"it takes more than {self._steps} steps")

    def op(self, name: str, left: object, right: object) -> object:
        """`left <name> right` of numbers; + of two texts or lists, and a list times a whole number."""
        self.tick()
        if name == "Add" and type(left) is type(right) and isinstance(left, str | list):
            return self._sized(left + right)  # type: ignore[operator]  # both are of one of these types
        if name == "Mult" and type(left) is list and type(right) is int:
            if len(left) * right > MAX_ITEMS:
                raise Broken("memory", f"a list of more than {MAX_ITEMS} items")
            return left * right
        result = _ARITHMETIC[name](_number(left), _number(right))
        return _small(result)

    def _sized(self, value: str | list[object]) -> object:
        most = MAX_TEXT if isinstance(value, str) else MAX_ITEMS
        self.tick(len(value) // 16)
        if len(value) > most:
            raise Broken("memory", f"a {type(value).__name__} longer than {most}")
        return value

    def compare(self, names: tuple[str, ...], values: tuple[object, ...]) -> bool:
        """A chain of comparisons; all values were computed."""
        return all(self._compared(name, *values[n : n + 2]) for n, name in enumerate(names))

    def _compared(self, name: str, left: object, right: object) -> bool:
        self.tick()
        if name in ("Is", "IsNot"):
            return (left is right) == (name == "Is")
        if name in ("In", "NotIn"):
            self.tick(self.len_(right))
            return (_scalar(left) in right) == (name == "In")  # type: ignore[operator]  # `len` has seen to it
        return _ORDER[name](_scalar(left), _scalar(right))

    def item(self, of: object, key: object) -> object:
        """`of[key]`."""
        self.tick(self.len_(of) // 16 if isinstance(key, slice) else 1)
        self.len_(of)
        return of[key if isinstance(key, slice) else _scalar(key)]  # type: ignore[index]  # `len` has seen to it

    def key(self, key: object) -> object:
        """What may be a dict's key: never something whose hash takes long."""
        self.tick()
        return _scalar(key)

    def attribute(self, of: object, name: str) -> object:
        """`of.name`, of what ctx gave."""
        self.tick()
        if type(of) not in self._records:
            raise Broken("error", f"a {type(of).__name__} has no .{name}")
        return getattr(of, name)

    def method(self, name: str, of: object, *given: object) -> object:
        """`of.name(...)`, of lists and dicts."""
        self.tick()
        if name not in METHODS.get(type(of), ()):
            raise Broken("error", f"a {type(of).__name__} has no .{name}()")
        if name == "append" and self.len_(of) >= MAX_ITEMS:
            raise Broken("memory", f"a list of more than {MAX_ITEMS} items")
        if name == "get" and given:
            _scalar(given[0])
        return getattr(of, name)(*given)

    def each(self, items: object, weight: int) -> Iterator[object]:
        """The items of a loop whose body has `weight` parts."""
        self.tick()
        if not isinstance(items, SEVERAL):
            raise Broken("error", f"a {type(items).__name__} cannot be looped over")
        for item in items:
            self.tick(weight)
            yield item

    def _listed(self, items: object) -> list[object]:
        """The items as a list of its own. A generator counts for itself."""
        if isinstance(items, GeneratorType):
            return list(items)
        return list(self.each(items, 1))

    def _plain(self, given: tuple[object, ...]) -> list[object]:
        """Values that can be put in order in little time: numbers, texts, and tuples of them."""
        items = self._listed(given[0]) if len(given) == 1 else list(given)
        for item in items:
            for part in item if isinstance(item, tuple) else (item,):
                _scalar(part)
        self.tick(len(items))
        return items

    def range_(self, *ends: object) -> range:
        """As Python's, of at most 64 numbers."""
        whole = [_whole(end) for end in ends]
        found = range(*whole)
        if any(abs(end) > MAX_RANGE**4 for end in whole) or len(found) > MAX_RANGE:
            raise Broken("cpu", f"range: a loop has at most {MAX_RANGE} rounds")
        return found

    def len_(self, of: object) -> int:
        """As Python's."""
        if not isinstance(of, SEVERAL):
            raise Broken("error", f"a {type(of).__name__} has no length and no items")
        return len(of)

    def min_(self, *given: object, **default: object) -> object:
        """As Python's, of numbers, texts or tuples of them."""
        return min(self._plain(given), **default)  # type: ignore[call-overload]

    def max_(self, *given: object, **default: object) -> object:
        """As Python's, of numbers, texts or tuples of them."""
        return max(self._plain(given), **default)  # type: ignore[call-overload]

    def sorted_(self, items: object, reverse: bool = False) -> list[object]:
        """As Python's, of numbers, texts or tuples of them."""
        return sorted(self._plain((items,)), reverse=bool(reverse))  # type: ignore[type-var]

    def sum_(self, items: object) -> object:
        """As Python's, of numbers."""
        return _small(sum(_number(item) for item in self._plain((items,))))

    def enumerate_(self, items: object, start: int = 0) -> list[tuple[int, object]]:
        """As Python's, as a list."""
        return list(enumerate(self._listed(items), _whole(start)))

    def zip_(self, *several: object) -> list[tuple[object, ...]]:
        """As Python's, as a list."""
        return list(zip(*map(self._listed, several), strict=False))

    def any_(self, items: object) -> bool:
        """As Python's."""
        return any(self._listed(items))

    def all_(self, items: object) -> bool:
        """As Python's."""
        return all(self._listed(items))

    def abs_(self, value: object) -> object:
        """As Python's."""
        return abs(_number(value))

    def round_(self, value: object, digits: object = None) -> object:
        """As Python's, with at most 15 digits."""
        return round(_number(value), None if digits is None else min(15, max(0, _whole(digits))))

    def int_(self, value: object = 0) -> object:
        """As Python's, of a number or a short text."""
        return _small(int(_short(value)))

    def float_(self, value: object = 0.0) -> object:
        """As Python's, of a number or a short text."""
        return float(_short(value))

    def str_(self, value: object = "") -> str:
        """As Python's, of a number, a text or None."""
        return str(_scalar(value))


def _number(value: object) -> int:
    if not isinstance(value, int | float):
        raise Broken("error", f"a {type(value).__name__} is not a number")
    return value  # type: ignore[return-value]  # a float will do


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise Broken("error", f"a {type(value).__name__} is not a whole number")
    return value


def _scalar(value: object) -> int:
    if not isinstance(value, SCALARS):
        raise Broken("error", f"a {type(value).__name__} where a number or a text is needed")
    return value  # type: ignore[return-value]  # whatever it is, it compares in no time


def _short(value: object) -> str:
    if isinstance(value, str) and len(value) > 30:
        raise Broken("error", "a long text is not a number")
    return value if isinstance(value, str) else _number(value)  # type: ignore[return-value]


def _small(value: object) -> object:
    if isinstance(value, int) and abs(value) >= MAX_INT:
        raise Broken("error", "a whole number of more than 63 bits")
    return value


def instrument(tree: ast.Module) -> ast.Module:
    """The tree with every operation going through a guard; positions stay."""
    rewritten: ast.Module = _Instrument().visit(tree)
    return ast.fix_missing_locations(rewritten)


class _Instrument(ast.NodeTransformer):
    def _call(self, at: ast.AST, name: str, *given: ast.expr) -> ast.Call:
        made = ast.Call(ast.Name(f"_{name}", ast.Load()), list(given), [])
        return ast.copy_location(made, at)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return self._call(node, "op", ast.Constant(type(node.op).__name__), node.left, node.right)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        assert isinstance(node.target, ast.Name)
        old = ast.Name(node.target.id, ast.Load())
        value = self._call(node, "op", ast.Constant(type(node.op).__name__), old, node.value)
        return ast.copy_location(ast.Assign([node.target], value), node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        names: list[ast.expr] = [ast.Constant(type(op).__name__) for op in node.ops]
        values = ast.Tuple([node.left, *node.comparators], ast.Load())
        return self._call(node, "compare", ast.Tuple(names, ast.Load()), values)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            return self._call(node, "item", node.value, node.slice)
        node.slice = self._call(node, "key", node.slice)
        return node

    def visit_Slice(self, node: ast.Slice) -> ast.AST:
        self.generic_visit(node)
        ends = [end or ast.Constant(None) for end in (node.lower, node.upper, node.step)]
        return self._call(node, "slice", *ends)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        self.generic_visit(node)
        node.keys = [key and self._call(key, "key", key) for key in node.keys]
        return node

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        self.generic_visit(node)
        node.key = self._call(node.key, "key", node.key)
        return self._comprehension(node, node.generators)

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        self.generic_visit(node)
        return self._comprehension(node, node.generators)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        self.generic_visit(node)
        return self._comprehension(node, node.generators)

    def _comprehension(self, node: ast.expr, generators: Iterable[ast.comprehension]) -> ast.AST:
        weight = ast.Constant(sum(1 for _ in ast.walk(node)))
        for one in generators:
            one.iter = self._call(one.iter, "each", one.iter, weight)
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        node.iter = self._call(node.iter, "each", node.iter, ast.Constant(sum(1 for _ in ast.walk(node))))
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load) or (isinstance(node.value, ast.Name) and node.value.id == "ctx"):
            return node
        return self._call(node, "attribute", node.value, ast.Constant(node.attr))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        function = node.func
        ours = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
        if not isinstance(function, ast.Attribute) or (ours and function.value.id == "ctx"):  # type: ignore[attr-defined]
            self.generic_visit(node)
            return node
        of, given = self.visit(function.value), [self.visit(one) for one in node.args]
        return self._call(node, "method", ast.Constant(function.attr), of, *given)
