"""Guarded operations do as Python's, up to their bounds."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.programs.guards import Broken, Guard, instrument


class Box:
    """Something with attributes."""

    def __init__(self, value: object) -> None:
        self.value = value


def evaluated(text: str, steps: int = 100_000, **values: object) -> object:
    """`text` with every operation guarded."""
    tree = instrument(ast.parse(f"found = {text}"))
    names = {**Guard(steps, (Box,)).names(), **values}
    exec(compile(tree, "<text>", "exec"), names)
    return names["found"]


@pytest.mark.parametrize(
    "text",
    [
        "1 + 2 * 3 - 4 / 5 // 1 % 7",
        "'a' + 'b'",
        "[1] + [2]",
        "[1, 2] * 3",
        "1 < 2 <= 2 != 3",
        "1 < 2 > 5",
        "'a' == 'a' and not 'a' == 1",
        "None is None",
        "2 in [1, 2] and 3 not in (1, 2)",
        "'k' in {'k': 1}",
        "'bc' in 'abcd'",
        "[1, 2, 3][-1]",
        "[1, 2, 3, 4][1:3]",
        "'text'[::-1]",
        "{'a': 1}['a']",
        "{x: x * x for x in range(3)}",
        "[x + y for x in range(3) if x for y in [1, 2]]",
        "any(x > 1 for x in [1, 2])",
        "all([])",
        "max(1, 2.5)",
        "min([(2, 'a'), (1, 'b')])",
        "max([], default=3)",
        "sorted([3, 1, 2], reverse=True)",
        "sum([1, 0.5])",
        "list_of(enumerate('ab', 1))",
        "list_of(zip([1, 2], 'ab'))",
        "round(2.345, 1)",
        "abs(-3)",
        "int('12') + int(3.9)",
        "float('0.5')",
        "str(1.5) + str(None) + str(True)",
        "bool([])",
        "len(range(2, 9, 3))",
        "{'a': 1}.get('b', 7)",
        "[k for k, v in {'a': 1}.items()]",
        "[v for v in {'a': 1}.values()] + [k for k in {'a': 1}.keys()]",
    ],
)
def test_they_do_as_pythons(text: str) -> None:
    assert evaluated(text, list_of=list) == eval(text, {"list_of": list})


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.sampled_from(["+", "-", "*", "<", "==", ">="]))
@settings(max_examples=60, deadline=None)
def test_numbers_are_pythons_numbers(a: int, b: int, op: str) -> None:
    assert evaluated(f"a {op} b", a=a, b=b) == eval(f"a {op} b", {"a": a, "b": b})


def test_a_change_in_place_is_an_operation() -> None:
    names = Guard(100, ()).names()
    exec(compile(instrument(ast.parse("a = [1]\nb = a\na += [2]\n")), "<text>", "exec"), names)
    assert (names["a"], names["b"]) == ([1, 2], [1])  # a new list: nothing is shared behind a program's back


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("9223372036854775807 + 1", "error"),
        ("-9223372036854775807 - 9", "error"),
        ("'a' * 3", "error"),
        ("'%s' % box", "error"),
        ("box + 1", "error"),
        ("box == box", "error"),
        ("[1] == [1]", "error"),
        ("[[1]] in [1]", "error"),
        ("str(box)", "error"),
        ("str([1])", "error"),
        ("len(box)", "error"),
        ("len(3)", "error"),
        ("box[0]", "error"),
        ("{(1, 2): 3}", "error"),
        ("{}[(1, 2)]", "error"),
        ("{}.get((1, 2))", "error"),
        ("(1).value", "error"),
        ("'a'.upper()", "error"),
        ("[1].pop()", "error"),
        ("box.value()", "error"),
        ("[x for x in 5]", "error"),
        ("sorted([[1], [2]])", "error"),
        ("min([((1, 2), 3)])", "error"),
        ("sum(['a'])", "error"),
        ("int('1' + '0000000000' + '0000000000' + '0000000000')", "error"),
        ("int(1e300)", "error"),
        ("abs('a')", "error"),
        ("enumerate([1], 0.5)", "error"),
        ("range(65)", "cpu"),
        ("range(-9, 9223372036854775807)", "cpu"),
        ("[0] * 1001", "memory"),
        ("[0] * 1000 + [1]", "memory"),
    ],
)
def test_what_is_beyond_the_bounds_is_broken(text: str, kind: str) -> None:
    with pytest.raises(Broken) as broken:
        evaluated(text, box=Box(1))
    assert broken.value.kind == kind


def test_attributes_are_read_of_what_was_given_only() -> None:
    assert evaluated("box.value", box=Box(3)) == 3
    with pytest.raises(Broken, match="a str has no"):
        evaluated("'a'.value")


@pytest.mark.parametrize(
    ("text", "steps"), [("1 + 1", 1), ("[x for x in range(10)]", 60), ("sum([1] * 100)", 150), ("'abc' in 'abcd'", 5)]
)
def test_steps_are_counted_the_same_every_time(text: str, steps: int) -> None:
    def needed(guess: int) -> bool:
        try:
            evaluated(text, guess)
        except Broken as broken:
            assert broken.kind == "cpu"
            return False
        return True

    counts = {next(guess for guess in range(1000) if needed(guess)) for _ in range(3)}
    assert len(counts) == 1
    assert counts.pop() >= steps


def test_more_work_takes_more_steps() -> None:
    def left(text: str) -> int:
        guard = Guard(10_000, ())
        names: dict[str, object] = guard.names()
        exec(compile(instrument(ast.parse(f"x = {text}")), "<text>", "exec"), names)
        return guard._left

    nested: Callable[[int], str] = lambda n: f"[a + b for a in range({n}) for b in range({n})]"  # noqa: E731
    assert left(nested(2)) > left(nested(4)) > left(nested(8))
