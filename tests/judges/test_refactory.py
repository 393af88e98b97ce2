from __future__ import annotations

import ast

import pytest

from controllers.worlds.refactory import Exercise, Loaded, RefactoryWorld
from controllers.worlds.refactory_questions import QUESTIONS
from judges.refactory import RefactoryJudge, hidden_calls
from judges.testing import JudgeCase, JudgeContract
from signatures.records import Task

TASK, OTHER = (Task(digest=name, benchmark="refactory", prompt="Write f.") for name in ("task", "other"))
WORLD = RefactoryWorld({"task": Exercise(1, "def f(x): return x")}, {1: Loaded("", {"f(1)": "2"})})
HIDDEN = {1: {"negative": {"f(-1)": "0", "f(-5)": "-4"}, "large": {"f(10**6)": "1000001"}}}
JUDGE = RefactoryJudge(WORLD, HIDDEN)
RIGHT, WRONG = "def f(x): return x + 1", "def f(x): return abs(x) + 1"


class TestContract(JudgeContract):
    @pytest.fixture
    def case(self) -> JudgeCase:
        return JudgeCase(JUDGE, (TASK, RIGHT), (TASK, WRONG), (OTHER, RIGHT))


async def test_it_names_the_groups_that_failed() -> None:
    found = await JUDGE.judge(TASK, WRONG)
    assert (found.score, found.reason) == (0.0, "negative")
    assert found.parts == {"visible": True, "negative": False, "large": True}


async def test_visible_tests_count_as_well() -> None:
    found = await JUDGE.judge(TASK, "def f(x): return 9 if x == 1 else x + 1")
    assert (found.score, found.reason) == (0.0, "visible")


def test_other_tests_are_another_judge() -> None:
    other = RefactoryJudge(WORLD, {1: {"negative": {"f(-1)": "0"}}})
    assert other.revision != JUDGE.revision == RefactoryJudge(WORLD, HIDDEN).revision


@pytest.mark.parametrize("number", QUESTIONS)
def test_hidden_calls_are_many_new_and_always_the_same(number: int) -> None:
    groups = hidden_calls(number)
    assert groups == hidden_calls(number)
    calls = [call for group in groups.values() for call in group]
    assert len(calls) == len(set(calls)) >= 45 and len(groups) >= 6
    assert not set(calls) & set(QUESTIONS[number].visible())
    for call in calls:
        tree = ast.parse(call, mode="eval").body
        assert isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)
        assert tree.func.id in QUESTIONS[number].functions
        for argument in tree.args:
            ast.literal_eval(argument)
