from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controllers.retry import RetryPolicy
from judges.ledger import VerdictLedger
from judges.records import Judgement, Verdict
from judges.scoring import ask, judge_episode
from judges.testing import ScriptedJudge
from signatures.errors import JudgeUnavailable, StoreError, UsageError
from signatures.records import Episode, Failure, Task

MakeEpisode = Callable[..., Episode]
QUICK = RetryPolicy(tries=3, base_s=0.0)
JUDGE = ScriptedJudge({"t1": "yes"})


class Flaky:
    """Fails `fails` times, then passes everything; or returns what is not a judgement."""

    revision = "flaky 1"
    deterministic = True

    def __init__(self, fails: int = 0, error: Exception | None = None, answer: object = None) -> None:
        self.fails = fails
        self.error = error or ConnectionError("no route to the judge")
        self.answer = answer or Judgement(score=1.0)
        self.asked = 0

    async def judge(self, task: Task, output: str) -> Judgement:
        self.asked += 1
        if self.asked <= self.fails:
            raise self.error
        return self.answer  # type: ignore[return-value]  # what a careless plug-in does


@pytest.fixture
def ledger(path: Path) -> Iterator[VerdictLedger]:
    with VerdictLedger(path) as opened:
        yield opened


async def rows(ledger: VerdictLedger) -> int:
    return (await ledger.verify()).rows


async def test_the_verdict_is_returned_and_kept(ledger: VerdictLedger, task: Task, make_episode: MakeEpisode) -> None:
    episode = make_episode("e1", split="dev")
    verdict = await judge_episode(JUDGE, ledger, task, episode, "no")
    assert isinstance(verdict, Verdict)
    assert (verdict.score, verdict.split, verdict.attempt_id, verdict.judge) == (0.0, "dev", "e1-a", "scripted 1")
    assert (verdict.episode_id, verdict.task_digest, verdict.benchmark) == ("e1", "t1", "toy")
    assert (verdict.reason, verdict.parts) == ("compared with the table", {"right": False})
    assert await ledger.held(verdict.id) == verdict


async def test_the_id_is_of_episode_attempt_and_judge(
    ledger: VerdictLedger, task: Task, make_episode: MakeEpisode
) -> None:
    episodes = [make_episode("e1"), make_episode("e2"), make_episode("e1", selected_id="other")]
    judges = [JUDGE, ScriptedJudge({"t1": "yes"}, revision="scripted 2")]
    verdicts = [await judge_episode(j, ledger, task, e, "yes") for j in judges for e in episodes]
    assert len({verdict.id for verdict in verdicts if isinstance(verdict, Verdict)}) == 6


async def test_judging_twice_asks_once(ledger: VerdictLedger, task: Task, make_episode: MakeEpisode) -> None:
    judge = Flaky()
    first = await judge_episode(judge, ledger, task, make_episode(), "any")
    judge.answer = Judgement(score=0.0)
    assert await judge_episode(judge, ledger, task, make_episode(), "any") == first
    assert (judge.asked, await rows(ledger)) == (1, 1)


async def test_a_judge_that_cannot_say_leaves_a_verdict_without_score(
    ledger: VerdictLedger, make_episode: MakeEpisode
) -> None:
    unknown = Task(digest="t2", benchmark="toy", prompt="?")
    verdict = await judge_episode(JUDGE, ledger, unknown, make_episode(task_digest="t2"), "yes")
    assert isinstance(verdict, Verdict) and verdict.score is None
    assert await ledger.scores("search", ["e1"], reader="evaluator") == {"e1": None}


async def test_an_unreachable_judge_leaves_a_failure_and_no_row(
    ledger: VerdictLedger, task: Task, make_episode: MakeEpisode
) -> None:
    judge = Flaky(fails=99)
    failure = await judge_episode(judge, ledger, task, make_episode(), "yes", retry=QUICK)
    assert isinstance(failure, Failure)
    assert (failure.error, failure.tries, failure.where) == ("JudgeUnavailable", 3, "judge flaky 1")
    assert "no route to the judge" in failure.message
    assert (judge.asked, await rows(ledger)) == (3, 0)


async def test_a_judge_that_comes_back_is_heard(ledger: VerdictLedger, task: Task, make_episode: MakeEpisode) -> None:
    verdict = await judge_episode(Flaky(fails=2), ledger, task, make_episode(), "yes", retry=QUICK)
    assert isinstance(verdict, Verdict) and verdict.score == 1.0


@pytest.mark.parametrize("judge", [Flaky(fails=9, error=KeyError("x")), Flaky(answer=1.0), Flaky(answer="pass")])
async def test_a_judge_that_breaks_gives_no_score(
    ledger: VerdictLedger, task: Task, make_episode: MakeEpisode, judge: Flaky
) -> None:
    failure = await judge_episode(judge, ledger, task, make_episode(), "yes", retry=QUICK)
    assert isinstance(failure, Failure) and failure.error == "JudgeUnavailable"
    assert await rows(ledger) == 0


async def test_without_a_selected_attempt_there_is_no_verdict(
    ledger: VerdictLedger, task: Task, make_episode: MakeEpisode
) -> None:
    judge = Flaky()
    nothing = await judge_episode(judge, ledger, task, make_episode(selected_id=None), "all tests passed, score 1.0")
    assert isinstance(nothing, Failure) and "selected no attempt" in nothing.message
    outage = Failure(error="ProviderError", message="429", where="worker")
    censored = make_episode("e2", selected_id=None, failure=outage)
    assert await judge_episode(judge, ledger, task, censored, "") == outage
    assert (judge.asked, await rows(ledger)) == (0, 0)


async def test_an_episode_is_not_scored_by_another_task(ledger: VerdictLedger, make_episode: MakeEpisode) -> None:
    other = Task(digest="t2", benchmark="toy", prompt="?")
    with pytest.raises(UsageError, match="episode e1 is of task t1, not t2"):
        await judge_episode(JUDGE, ledger, other, make_episode(), "yes")


async def test_a_ledger_that_cannot_be_written_is_an_error(path: Path, task: Task, make_episode: MakeEpisode) -> None:
    ledger = VerdictLedger(path)
    ledger.close()
    with pytest.raises(StoreError, match="is closed"):
        await judge_episode(JUDGE, ledger, task, make_episode(), "yes")


async def test_cancelling_is_not_a_failure(task: Task) -> None:
    class Slow(Flaky):
        async def judge(self, task: Task, output: str) -> Judgement:
            await asyncio.sleep(60)
            return Judgement(score=1.0)

    asking = asyncio.create_task(ask(Slow(), task, "yes"))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_asking_once_raises_what_it_was(task: Task) -> None:
    with pytest.raises(JudgeUnavailable, match="judge flaky 1: ConnectionError"):
        await ask(Flaky(fails=1), task, "yes")
