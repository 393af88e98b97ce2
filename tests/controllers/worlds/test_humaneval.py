"""A problem without its key, the program it makes of a worker's code, and its visible tests."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.worlds.humaneval import FAMILIES, problem_of, program_of, visible_tests
from signatures.errors import UsageError

PROMPT = '''from typing import List

def helper(x):
    """Not asked for. >>> helper(1)"""
    return x

def total(xs: List[int]) -> int:
    """Add the elements of a list.
    >>> total([1, 2])
    3
    """
'''


def test_a_problem_has_what_stands_above_its_function() -> None:
    problem = problem_of(PROMPT, "total")
    assert problem.above.startswith("from typing") and problem.above.endswith("return x")
    assert problem.examples == (("total([1, 2])", "3"),)
    assert problem.family == "selection"
    assert (
        "def total(xs: List[int]) -> int:\n```\n\nAdd the elements of a list.\n>>> total([1, 2])\n3" in problem.prompt
    )
    other = PROMPT.replace("Add the", "Add up the")
    assert problem.digest == problem_of(PROMPT, "total").digest != problem_of(other, "total").digest


def test_a_worker_need_not_repeat_what_it_was_given() -> None:
    problem = problem_of(PROMPT, "total")
    names: dict[str, object] = {}
    exec(program_of(problem, "def total(xs: List[int]):\n    return sum(map(helper, xs))"), names)
    assert names["total"]([1, 2]) == 3  # type: ignore[operator]  # it is a function
    exec(program_of(problem, "from __future__ import annotations\ndef total(xs: Unknown): ..."), {})


def run(output: str) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(program_of(problem_of(PROMPT, "total"), output), names)
    return names


def test_what_a_worker_runs_beside_its_function_is_left_out() -> None:
    names = run(
        "```python\nimport math\nBASE = math.floor(0.5)\nSTART = BASE\n"
        "def total(xs):\n    return sum(xs, START)\n"
        "found = total([1])\nassert found == 2\nprint(1 / 0)\n"
        "if __name__ == '__main__':\n    raise SystemExit\n```"
    )
    assert names["total"]([1, 2]) == 3 and "found" not in names  # type: ignore[operator]  # it is a function


@pytest.mark.parametrize(
    "code",
    [
        "total = lambda xs: sum(xs)",
        "def add(xs):\n    return sum(xs)\ntotal = add",
        "try:\n    from math import fsum as add\nexcept ImportError:\n    add = sum\ndef total(xs): return add(xs)",
        "class Total:\n    def of(self, xs): return sum(xs)\nMADE = Total()\ndef total(xs): return MADE.of(xs)",
    ],
)
def test_a_function_may_be_made_in_any_way(code: str) -> None:
    assert run(code)["total"]([1, 2]) == 3  # type: ignore[operator]  # it is a function


def test_of_a_reply_that_was_cut_the_lines_that_parse_are_kept() -> None:
    whole = "Here it is:\n```python\ndef total(xs):\n    return sum(xs)\n\ndef test_total():\n    assert (total([1,"
    assert run(whole)["total"]([1, 2]) == 3  # type: ignore[operator]  # it is a function
    assert "total" not in run("```python\ndef total(xs")


def test_code_with_an_error_keeps_it() -> None:
    with pytest.raises(SyntaxError):
        run("```python\ndef total(xs):\n    return sum(xs\n\nprint(1)\n```")


@given(st.text(max_size=300))
def test_any_reply_makes_a_text(output: str) -> None:
    assert "def helper" in program_of(problem_of(PROMPT, "total"), output)


def test_visible_tests_are_one_for_each_example_or_one_for_the_definition() -> None:
    def names(prompt: str) -> list[str]:
        tree = ast.parse(visible_tests(problem_of(prompt, "total")))
        return [n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]

    assert names(PROMPT) == ["test_example_1"]
    assert names('def total(xs):\n    """Add them."""\n') == ["test_defined"]


def test_every_prompt_has_a_family_by_its_words() -> None:
    def family(text: str) -> str:
        return problem_of(f'def f(x):\n    """{text}"""\n', "f").family

    assert [family(t) for t in ("Count the prime words.", "Reverse the words.", "Sort it.", "Double it.")] == [
        "primes",
        "words",
        "ordering",
        "numbers",
    ]
    assert list(FAMILIES)[-1] == "numbers" and len(FAMILIES) == 11


@pytest.mark.parametrize("prompt", ["def other(): ...", "def total(: ...", "def total(xs):\n    pass\n"])
def test_a_prompt_without_the_function_or_its_docstring_is_refused(prompt: str) -> None:
    with pytest.raises(UsageError, match="total"):
        problem_of(prompt, "total")
