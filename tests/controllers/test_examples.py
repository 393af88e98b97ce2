"""Every way in which HumanEval writes an example, and what is no example."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.examples import Example, examples


def pairs(text: str, *parameters: str) -> list[tuple[str, str]]:
    return [tuple(one) for one in examples(text, "f", parameters or ("x",))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (">>> f(1)\n2\n", [("f(1)", "2")]),
        (
            "Say it.\n    >>> f([1,\t2])\n    [3,\n     4]\n    >>> f([])\n\n    Else:",
            [("f([1, 2])", "[3, 4]"), ("f([])", "None")],
        ),
        (">>> f('a\\nb')\n'b'", [("f('a\\nb')", "'b'")]),
        (">>> f(1) == 2\n>>> f(2) == None", [("f(1)", "2"), ("f(2)", "None")]),
        (">>> round(f([1, 2]), 2) # half\n-0.5", [("round(f([1, 2]), 2)", "-0.5")]),
        ("f(1) == 2", [("f(1)", "2")]),
        ("f(1) = 2", [("f(1)", "2")]),
        ("f(1)=>2", [("f(1)", "2")]),
        ("f(1) ==> 2 ", [("f(1)", "2")]),
        ("* f(1) -> [2, 3]", [("f(1)", "[2, 3]")]),
        ("f('a') ➞ true", [("f('a')", "True")]),
        ("f(\"a\") # => 'Yes' (because)", [("f('a')", "'Yes'")]),
        ('f(15)   # returns "db1111db"', [("f(15)", "'db1111db'")]),
        ("for f(7) == 34", [("f(7)", "34")]),
        ("f(1) returns 'b' # since a", [("f(1)", "'b'")]),
        ("f(1) should\n   return 15 and f(2) should return -15.", [("f(1)", "15"), ("f(2)", "-15.0")]),
        ('f("5 apples") ->19 - 5 - 6 = 8', [("f('5 apples')", "8")]),
        ("f([\n  [1],\n  [2]\n]) == [(0, 0)]", [("f([[1], [2]])", "[(0, 0)]")]),
        ("f(1) == 2\nf(1) == 3", [("f(1)", "2")]),
        ("assert g([1]) => 2", [("f([1])", "2")]),
        ("For x = [1,2] the output should be 6", [("f([1, 2])", "6")]),
        ('For x = 10, the sum will be 1 the output should be "1".', [("f(10)", "'1'")]),
        ("Input: [4,2]\n  Output: [2, 1]\n  Explanation: 2", [("f([4, 2])", "[2, 1]")]),
        ("Input: x = 'a b'\nOutput: 'b'", [("f('a b')", "'b'")]),
    ],
)
def test_a_form_is_read(text: str, found: list[tuple[str, str]]) -> None:
    assert pairs(text) == found


def test_several_arguments_go_by_name_or_in_their_order() -> None:
    assert pairs("Input: k = 3, arr = [1]\nOutput: 2", "arr", "k") == [("f([1], 3)", "2")]
    assert pairs("Input:\n  grid : [[0]]\n  wells : 1\nOutput: 6", "grid", "capacity") == [("f([[0]], 1)", "6")]
    assert pairs("For s = 'ab', c = \"b\", the result should be ('a',False)", "s", "c") == [
        ("f('ab', 'b')", "('a', False)")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "f(a) => False",
        "f(n) -> f(n-1) + f(n-2)",
        "f(1) is 2",
        ">>> f(1) [2]",
        "f(1) == ''a''",
        "f(1) == nothing",
        "self.f(1) == 2",
        ">>> x = f(1)",
        "f(open('x')) == 2",
        "f(__import__('os').getcwd()) == 2",
        "f(1) == 1 ** 9999999",
        "g(1) == 2 and h(1) == 3",
        "f(1, 2",
    ],
)
def test_what_is_no_example_is_left(text: str) -> None:
    assert pairs(text) == []


@given(st.text(max_size=200))
def test_any_text_gives_calls_and_literals_only(text: str) -> None:
    for call, value in examples(f"f({text}", "f", ("x",)):
        ast.literal_eval(value)
        tree = ast.parse(call, mode="eval").body
        assert isinstance(tree, ast.Call)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="ascii", exclude_characters="\r"), max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(_VALUES, min_size=1, max_size=3), _VALUES)
def test_what_is_written_comes_back(arguments: list[object], value: object) -> None:
    call = f"f({', '.join(map(repr, arguments))})"
    given_as = Example(call, repr(value))
    names = [f"p{n}" for n in range(len(arguments))]
    assert examples(f"So {call} == {value!r}\nand more", "f", names) == (given_as,)
    assert examples(f">>> {call} == {value!r}\n", "f", names) == (given_as,)
