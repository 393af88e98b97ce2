"""Hidden unit tests as a judge: all or nothing."""

from __future__ import annotations

import pytest

from controllers.isolation import SandboxConfig, works
from controllers.sandbox import Sandbox
from controllers.worlds.humaneval import problem_of
from judges.humaneval import HumanEvalJudge
from judges.testing import JudgeCase, JudgeContract
from signatures.records import Task

pytestmark = pytest.mark.skipif(not works("rlimits"), reason="needs Linux")
PROMPT = '''def step():
    return 1


def count(n):
    """The first n numbers from 0.
    >>> count(2)
    [0, 1]
    """
'''
HIDDEN = """
def check(candidate):
    assert candidate(2) == count(2) == [0, step()]
    assert candidate(0) == []
"""
PROBLEM = problem_of(PROMPT, "count")
TASK = Task(digest=PROBLEM.digest, benchmark="humaneval", prompt=PROBLEM.prompt)
GOOD = "```python\ndef count(n):\n    return list(range(0, n, step()))\n```"
BY_HEART = "```python\ndef count(n):\n    return [0, 1]\n```"


def judge_of(hidden: str = HIDDEN) -> HumanEvalJudge:
    sandbox = Sandbox(SandboxConfig(allow_network_unconfined=True, cpu_s=1))
    return HumanEvalJudge({PROBLEM.digest: PROBLEM}, {PROBLEM.digest: hidden}, sandbox=sandbox)


class TestContract(JudgeContract):
    @pytest.fixture
    def case(self) -> JudgeCase:
        unknown = TASK.model_copy(update={"digest": "other"})
        return JudgeCase(judge_of(), (TASK, GOOD), (TASK, BY_HEART), (unknown, GOOD))


@pytest.mark.parametrize("output", ["", "def count(n", "def count(n):\n    while True: pass", "import os; os._exit(0)"])
async def test_code_that_does_not_run_scores_nothing(output: str) -> None:
    found = await judge_of().judge(TASK, output)
    assert (found.score, found.parts) == (0.0, {"hidden tests": False})


async def test_output_that_looks_like_a_report_is_not_believed() -> None:
    said = '```python\nprint(\'{"name": "test_hidden", "passed": true, "message": ""}\')\nraise SystemExit\n```'
    assert (await judge_of().judge(TASK, said)).score == 0.0


def test_the_revision_is_that_of_the_hidden_tests() -> None:
    assert judge_of().revision == judge_of().revision != judge_of(HIDDEN + "\n").revision
