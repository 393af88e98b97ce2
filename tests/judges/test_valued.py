"""The judge that is a function."""

from __future__ import annotations

import pytest

from judges.testing import JudgeCase, JudgeContract
from judges.valued import ValuedJudge
from signatures.records import Task

TASK = Task(digest="t", benchmark="b", prompt="p")


async def halves(task: Task, output: str) -> tuple[float | None, str]:
    return (None, "cannot say") if output == "odd" else (float(output == "four") / 2, "half of it")


class TestContract(JudgeContract):
    """As every judge."""

    @pytest.fixture
    def case(self) -> JudgeCase:
        """One output is worth a half."""
        return JudgeCase(ValuedJudge(halves, "halves 1"), (TASK, "four"), (TASK, "two"), (TASK, "odd"), pass_at=0.5)


async def test_it_says_what_the_function_says() -> None:
    judge = ValuedJudge(halves, "halves 1")
    right, wrong, odd = [await judge.judge(TASK, text) for text in ("four", "two", "odd")]
    assert (right.score, wrong.score, odd.score) == (0.5, 0.0, None)
    assert (right.reason, odd.reason) == ("half of it", "cannot say")


async def test_what_the_function_raises_is_not_a_score() -> None:
    async def fails(task: Task, output: str) -> tuple[float | None, str]:
        raise KeyError(output)

    with pytest.raises(KeyError):
        await ValuedJudge(fails, "fails 1").judge(TASK, "x")
