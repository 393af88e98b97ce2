from __future__ import annotations

from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.records import Judgement
from judges.stability import rejudge
from judges.testing import ScriptedJudge
from signatures.errors import EvidenceError, UsageError
from signatures.records import Task

TASKS = [Task(digest=f"t{i}", benchmark="toy", prompt="?") for i in range(3)]
OUTPUTS = [(task, "yes") for task in TASKS]


class Moody:
    """Gives its answers in turn, whatever it is asked; None among them: it cannot be asked."""

    revision = "moody 1"

    def __init__(self, *answers: Judgement | None, deterministic: bool = False) -> None:
        self.deterministic = deterministic
        self._answers = cycle(answers)

    async def judge(self, task: Task, output: str) -> Judgement:
        answer = next(self._answers)
        if answer is None:
            raise TimeoutError("no answer in time")
        return answer


def scored(score: float | None, reason: str = "", **parts: bool) -> Judgement:
    return Judgement(score=score, reason=reason, parts=parts)


async def test_an_exact_judge_agrees_with_itself() -> None:
    found = await rejudge(ScriptedJudge({"t0": "yes", "t1": "no"}, deterministic=True), OUTPUTS, 3)
    assert (found.agreement, found.n, found.times, found.unavailable) == (1.0, 3, 3, 0)
    assert found.judge == "scripted 1"


async def test_the_agreement_is_the_share_of_agreeing_pairs() -> None:
    found = await rejudge(Moody(scored(1.0), scored(1.0), scored(0.0)), OUTPUTS, 3)
    assert found.agreement == pytest.approx(1 / 3)
    assert found.n == 3


async def test_the_parts_count_and_the_reason_does_not() -> None:
    wordy = Moody(scored(1.0, "clearly"), scored(1.0, "of course"))
    assert (await rejudge(wordy, OUTPUTS, 2)).agreement == 1.0
    torn = Moody(scored(0.5, tests=True), scored(0.5, tests=False))
    assert (await rejudge(torn, OUTPUTS, 2)).agreement == 0.0


async def test_cannot_say_is_not_zero() -> None:
    assert (await rejudge(Moody(scored(None), scored(0.0)), OUTPUTS, 2)).agreement == 0.0
    assert (await rejudge(Moody(scored(None)), OUTPUTS, 2)).agreement == 1.0


async def test_a_judge_below_one_where_it_claims_to_be_deterministic_is_an_error() -> None:
    judge = Moody(scored(1.0), scored(1.0), scored(1.0), scored(0.0), deterministic=True)
    with pytest.raises(EvidenceError, match=r"moody 1 claims to be deterministic .* 1 of 3 outputs; tasks: t1"):
        await rejudge(judge, OUTPUTS, 2)


async def test_an_unreachable_judge_neither_agrees_nor_disagrees() -> None:
    judge = Moody(scored(1.0), None, scored(1.0), deterministic=True)
    found = await rejudge(judge, OUTPUTS, 3)
    assert (found.agreement, found.n, found.unavailable) == (1.0, 3, 3)


async def test_no_output_judged_twice_is_no_number() -> None:
    found = await rejudge(Moody(scored(1.0), None), OUTPUTS, 2)
    assert (found.agreement, found.n, found.unavailable) == (None, 0, 3)


@pytest.mark.parametrize(("outputs", "times"), [([], 3), (OUTPUTS, 1)])
async def test_nothing_to_compare_is_refused(outputs: list[tuple[Task, str]], times: int) -> None:
    with pytest.raises(UsageError, match="at least one output, twice"):
        await rejudge(Moody(scored(1.0)), outputs, times)


@given(scores=st.lists(st.sampled_from([None, 0.0, 1.0]), min_size=2, max_size=6))
async def test_agreement_is_full_exactly_when_all_judgements_are_one(scores: list[float | None]) -> None:
    found = await rejudge(Moody(*map(scored, scores)), OUTPUTS[:1], len(scores))
    assert found.agreement is not None and 0.0 <= found.agreement <= 1.0
    assert (found.agreement == 1.0) == (len(set(scores)) == 1)
