from __future__ import annotations

import pytest

from controllers.worlds.wordnet import Reading
from judges.testing import JudgeCase, JudgeContract
from judges.wordnet import WordnetJudge
from signatures.records import Task

GOLD, RIVAL, OTHER = "n00000030", "n00000050", "n00000090"
TASK = Task(digest="kettle", benchmark="wordnet", prompt="Which?")
STRANGER = Task(digest="other", benchmark="wordnet", prompt="Which?")


def state(answer: str | None) -> str:
    return Reading(answer=answer).model_dump_json()


@pytest.fixture
def judge() -> WordnetJudge:
    return WordnetJudge({TASK.digest: GOLD}, {TASK.digest: frozenset((RIVAL,))}, release="tests")


class TestWordnetJudge(JudgeContract):
    @pytest.fixture
    def case(self, judge: WordnetJudge) -> JudgeCase:
        return JudgeCase(judge, (TASK, state(GOLD)), (TASK, state(RIVAL)), (STRANGER, state(GOLD)))


@pytest.mark.parametrize(
    ("output", "score", "reason"),
    [
        (state(GOLD), 1.0, ""),
        (state(RIVAL), 0.0, "a rival"),
        (state(OTHER), 0.0, "another entry"),
        (state(None), 0.0, "no answer"),
        (GOLD, 0.0, "not a snapshot of the wordnet world"),
    ],
)
async def test_only_the_hidden_entry_counts(judge: WordnetJudge, output: str, score: float, reason: str) -> None:
    found = await judge.judge(TASK, output)
    assert (found.score, found.reason) == (score, reason)


async def test_its_parts_say_how_near_it_was(judge: WordnetJudge) -> None:
    parts = (await judge.judge(TASK, state(RIVAL))).parts
    assert parts == {"answered": True, "meets what a program can check": True, "the entry": False}


def test_other_answers_make_another_judge(judge: WordnetJudge) -> None:
    other = WordnetJudge({TASK.digest: RIVAL}, {}, release="tests")
    assert other.revision != judge.revision and "tests" in judge.revision
