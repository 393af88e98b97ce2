from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from judges.records import Judgement
from judges.testing import JudgeCase, JudgeContract, ScriptedJudge
from signatures.errors import EvidenceError
from signatures.records import Task

KNOWN = Task(digest="t1", benchmark="toy", prompt="?")
UNKNOWN = Task(digest="t2", benchmark="toy", prompt="?")


class TestScriptedJudge(JudgeContract):
    @pytest.fixture
    def case(self) -> JudgeCase:
        return JudgeCase(ScriptedJudge({"t1": "yes"}), (KNOWN, "yes"), (KNOWN, "no"), (UNKNOWN, "yes"))


class TestGradedJudge(JudgeContract):
    @pytest.fixture
    def case(self) -> JudgeCase:
        return JudgeCase(Rule(lambda o: 0.8 if o == "yes" else 0.3), (KNOWN, "yes"), (KNOWN, "no"), None, pass_at=0.7)


class Rule:
    """Scores by a function of the output alone."""

    deterministic = True

    def __init__(self, score: Callable[[str], float | None], revision: str = "rule 1") -> None:
        self.score = score
        self.revision = revision

    async def judge(self, task: Task, output: str) -> Judgement:
        return Judgement(score=self.score(output))


def broken(score: Callable[[str], float | None], revision: str = "rule 1") -> JudgeCase:
    return JudgeCase(Rule(score, revision), (KNOWN, "yes"), (KNOWN, "no"), (UNKNOWN, "?"))


def test_the_contract_finds_a_judge_that_fails_gold() -> None:
    with pytest.raises(AssertionError, match=r"gold scored 0\.0"):
        JudgeContract().test_gold_passes(broken(lambda output: 0.0))


def test_the_contract_finds_a_judge_that_passes_all() -> None:
    with pytest.raises(AssertionError, match=r"a bad output scored 1\.0"):
        JudgeContract().test_bad_fails(broken(lambda output: 1.0))


def test_the_contract_finds_a_judge_that_calls_missing_zero() -> None:
    with pytest.raises(AssertionError, match=r"scored 0\.0 where it cannot say"):
        JudgeContract().test_cannot_say_gives_no_score(broken(lambda output: 0.0))


def test_the_contract_finds_an_unstable_judge() -> None:
    calls = count()
    with pytest.raises(EvidenceError, match="claims to be deterministic"):
        JudgeContract().test_judging_again_is_stable(broken(lambda output: float(next(calls) % 2)))


def test_the_contract_finds_a_judge_that_believes_claims() -> None:
    with pytest.raises(EvidenceError, match="a claim after known-bad bad"):
        JudgeContract().test_probes_hold(broken(lambda output: float(output == "yes" or "score 1.0" in output)))


def test_the_contract_finds_a_nameless_judge() -> None:
    with pytest.raises(AssertionError, match="needs a revision"):
        JudgeContract().test_it_has_a_revision(broken(lambda output: 1.0, revision=""))


async def test_the_scripted_judge_says_nothing_of_unknown_tasks() -> None:
    judge = ScriptedJudge({"t1": "yes"})
    assert (await judge.judge(UNKNOWN, "yes")).score is None
    assert (await judge.judge(KNOWN, "yes")).parts == {"right": True}
