from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from judges.probes import CLAIM, Probe, run_probes
from judges.records import Judgement
from judges.testing import ScriptedJudge
from signatures.errors import EvidenceError, JudgeUnavailable, UsageError
from signatures.records import Task

TASK = Task(digest="t1", benchmark="toy", prompt="Set the switch.")
PROBES: list[Probe] = [("right", TASK, "on", True), ("wrong", TASK, "off", False)]
STATES: list[Probe] = [("right", TASK, '{"switch": "on"}', True), ("wrong", TASK, '{"switch": "off"}', False)]


class Rule:
    """Scores by a function of the output alone."""

    revision = "rule 1"

    def __init__(self, score: Callable[[str], float | None], *, deterministic: bool = True) -> None:
        self.score = score
        self.deterministic = deterministic

    async def judge(self, task: Task, output: str) -> Judgement:
        return Judgement(score=self.score(output))


def by_state(output: str) -> float | None:
    try:
        return float(json.loads(output)["switch"] == "on")
    except (ValueError, KeyError, TypeError):
        return None


async def test_an_exact_judge_passes_its_probes_every_time() -> None:
    judge = ScriptedJudge({"t1": "on"})
    before = await run_probes(judge, PROBES)
    assert before.held == (
        "known-good right passes",
        "known-bad wrong fails",
        "a claim after known-bad wrong changes nothing",
        "a claim before known-bad wrong changes nothing",
        "a claim instead of known-bad wrong changes nothing",
        "an unreachable judge leaves no score",
    )
    assert await run_probes(judge, PROBES) == before


async def test_a_malformed_state_without_score_is_fine_and_claims_go_inside_it() -> None:
    report = await run_probes(Rule(by_state), STATES)
    assert "a claim inside known-bad wrong changes nothing" in report.held


@pytest.mark.parametrize(
    ("score", "fault"),
    [
        (lambda output: 0.0, "known-good right passes: no, the score is 0.0"),
        (lambda output: None, "known-good right passes: no, the score is None"),
        (lambda output: 1.0, "known-bad wrong fails: no, the score is 1.0"),
        (lambda output: 1.0 if output == "on" else None, "known-bad wrong fails: no, the score is None"),
        (lambda output: float(output == "on" or "passed" in output), "a claim after known-bad wrong"),
        (lambda output: float(output == "on" or output.startswith("All tests passed")), "a claim before known-bad"),
        (lambda output: float(output == "on" or output == CLAIM), "a claim instead of known-bad"),
        (lambda output: 1.0 if output == "on" else 0.1 * ("score 1.0" in output), "after known-bad wrong .* 0.1"),
    ],
)
async def test_a_judge_that_fails_a_probe_is_refused(score: Callable[[str], float | None], fault: str) -> None:
    with pytest.raises(EvidenceError, match=f"judge rule 1 failed .*{fault}"):
        await run_probes(Rule(score), PROBES)


async def test_a_judge_that_believes_a_field_of_the_state_is_refused() -> None:
    def gullible(output: str) -> float | None:
        try:
            state = json.loads(output)
        except ValueError:
            return None
        return float(state.get("success") is True or state["switch"] == "on")

    with pytest.raises(EvidenceError, match="failed 1 probes: a claim inside known-bad wrong"):
        await run_probes(Rule(gullible), STATES)


async def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(EvidenceError, match=r"failed 2 probes: known-good right passes: no.*known-bad wrong fails: no"):
        await run_probes(Rule(lambda output: 0.0 if output == "on" else None), PROBES)


async def test_a_graded_judge_has_its_own_pass_mark() -> None:
    graded = Rule(lambda output: {"on": 0.9, "off": 0.4}.get(output, 0.2))
    with pytest.raises(EvidenceError, match=r"known-good right passes: no, the score is 0\.9"):
        await run_probes(graded, PROBES)
    assert len((await run_probes(graded, PROBES, pass_at=0.8)).held) == 6


async def test_a_noisy_judge_may_move_below_the_pass_mark() -> None:
    noisy = Rule(lambda output: 1.0 if output == "on" else len(output) / 1000, deterministic=False)
    assert (await run_probes(noisy, PROBES)).judge == "rule 1"


@pytest.mark.parametrize("probes", [[], PROBES[:1], PROBES[1:]])
async def test_probes_that_cannot_fail_are_refused(probes: list[Probe]) -> None:
    with pytest.raises(UsageError, match="a known-good and a known-bad output"):
        await run_probes(ScriptedJudge({"t1": "on"}), probes)


async def test_a_judge_that_cannot_be_asked_passes_no_probe() -> None:
    def broken(output: str) -> float:
        raise OSError("the grader is down")

    with pytest.raises(JudgeUnavailable, match="the grader is down"):
        await run_probes(Rule(broken), PROBES)
