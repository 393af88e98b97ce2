from __future__ import annotations

import ast

import pytest

from controllers.worlds.refactory_edits import KINDS
from controllers.worlds.refactory_questions import DIRECTIVES, QUESTIONS, VISIBLE, prompt


def test_the_table_is_the_kinds_of_change_and_untried() -> None:
    assert [directive.action for directive in DIRECTIVES] == [*KINDS, "untried"]


@pytest.mark.parametrize("number", QUESTIONS)
def test_visible_calls_are_different_always_the_same_and_call_the_functions(number: int) -> None:
    question = QUESTIONS[number]
    calls = question.visible()
    assert calls == question.visible() and len(set(calls)) == VISIBLE and calls[0] == question.empty
    for call in calls:
        tree = ast.parse(call, mode="eval").body
        assert isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in question.functions
        for argument in tree.args:
            ast.literal_eval(argument)
    assert all(function in question.text for function in question.functions)


def test_a_prompt_holds_question_program_and_what_stands_before_it() -> None:
    text = prompt(QUESTIONS[5], "import heapq\n", "def top_k(lst, k):\n    return []\n")
    assert QUESTIONS[5].text in text and "return []" in text and "import heapq" in text and "```python block" in text
    assert "stand before" not in prompt(QUESTIONS[5], "\n", "pass")
