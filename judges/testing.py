"""For tests and demonstrations: a judge with a table of answers, and the contract every judge keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from judges import Judge
from judges.probes import run_probes
from judges.records import Judgement
from judges.scoring import ask
from judges.stability import rejudge
from signatures.records import Task


@dataclass(frozen=True)
class ScriptedJudge:
    """Passes the output that its table holds for the task, and says nothing of other tasks."""

    gold: Mapping[str, str]
    "task digest -> the one right output"
    revision: str = "scripted 1"
    deterministic: bool = True

    async def judge(self, task: Task, output: str) -> Judgement:
        """1 for exactly the right output, else 0; no score for a task outside the table."""
        if task.digest not in self.gold:
            return Judgement(score=None, reason="no answer is known for this task")
        right = output == self.gold[task.digest]
        return Judgement(score=float(right), reason="compared with the table", parts={"right": right})


class JudgeCase(NamedTuple):
    """A judge and outputs whose worth is known."""

    judge: Judge
    gold: tuple[Task, str]
    bad: tuple[Task, str]
    cannot_say: tuple[Task, str] | None
    "what the judge has no opinion on; None: there is nothing of the kind"
    pass_at: float = 1.0
    "the lowest score that is a pass"


class JudgeContract:
    """Subclass it in a test as `class TestMine(JudgeContract)` with a fixture `case` that returns a JudgeCase."""

    def test_gold_passes(self, case: JudgeCase) -> None:
        """A known-good output scores at least `pass_at`."""
        score = asyncio.run(ask(case.judge, *case.gold)).score
        assert score is not None and score >= case.pass_at, f"gold scored {score}"

    def test_bad_fails(self, case: JudgeCase) -> None:
        """A known-bad output has a score, below `pass_at`."""
        score = asyncio.run(ask(case.judge, *case.bad)).score
        assert score is not None and score < case.pass_at, f"a bad output scored {score}"

    def test_cannot_say_gives_no_score(self, case: JudgeCase) -> None:
        """What the judge cannot say is missing, never 0."""
        if case.cannot_say is not None:
            score = asyncio.run(ask(case.judge, *case.cannot_say)).score
            assert score is None, f"scored {score} where it cannot say"

    def test_judging_again_is_stable(self, case: JudgeCase) -> None:
        """A judge that claims to be deterministic agrees with itself (`rejudge` raises otherwise)."""
        outputs = [case.gold, case.bad, *([case.cannot_say] if case.cannot_say else [])]
        stability = asyncio.run(rejudge(case.judge, outputs, times=3))
        assert stability.n == len(outputs), f"only {stability.n} of {len(outputs)} outputs could be judged twice"

    def test_probes_hold(self, case: JudgeCase) -> None:
        """Claims of success change nothing, and an unreachable judge leaves no score."""
        probes = [("gold", *case.gold, True), ("bad", *case.bad, False)]
        report = asyncio.run(run_probes(case.judge, probes, pass_at=case.pass_at))
        assert report.judge == case.judge.revision

    def test_it_has_a_revision(self, case: JudgeCase) -> None:
        """The revision names the judge, and does not change from call to call."""
        assert case.judge.revision and case.judge.revision == case.judge.revision, "a judge needs a revision"
