"""Gate A's arms, its planned contrasts, and when it passes."""

from __future__ import annotations

from experiments.gate.arms.contrasts import MORE_COMPUTE, STEERING
from experiments.gate.arms.steering import arms_at, disagreement, grant_of, passes, planned
from experiments.gate.report import Contrast
from optimizers.gate.decide import Question, decide
from optimizers.gate.evidence import evidence_of
from optimizers.gate.paired import pairs_of
from tests.experiments.gate.arms.test_contrasts import measured

ARMS = arms_at(3, 12, "rule")


def contrast(control: str, wins: int, losses: int, n: int = 60) -> Contrast:
    baseline = {f"t{i:02}": [float(i < losses)] for i in range(n)}
    candidate = {f"t{i:02}": [float(losses <= i < losses + wins)] for i in range(n)}
    evidence = evidence_of(pairs_of("correct", baseline, candidate))
    return Contrast(
        name=f"refine - {control}",
        family=STEERING,
        treatment="refine",
        control=control,
        evidence=evidence,
        decided=decide(Question(evidence=(evidence,))),
    )


def test_the_five_arms_are_granted_the_same_turns_and_blind_one_attempt() -> None:
    assert {grant_of(arm).amounts.turns for arm in ARMS.matched} == {36}
    assert [arm.name for arm in ARMS.matched] == ["random@3", "continue@3", "placebo@3", "refine@3/rule", "long@1"]
    assert grant_of(ARMS.blind).amounts.turns == 12
    assert ARMS.blind.name == "blind"


def test_refine_less_placebo_comes_first_and_the_families_are_two() -> None:
    plan = planned(ARMS)
    assert plan[0].name == "refine@3/rule - placebo@3"
    steering = [one.control for one in plan if one.family == STEERING]
    assert steering == ["placebo@3", "random@3", "continue@3"]
    more = {(one.treatment, one.control): one.matched for one in plan if one.family == MORE_COMPUTE}
    assert more == {
        ("refine@3/rule", "long@1"): True,
        ("random@3", "blind"): False,
        ("long@1", "blind"): False,
    }


def test_it_passes_only_where_refine_beats_placebo_and_no_control_beats_refine() -> None:
    better, same, worse = (contrast("x", *counts) for counts in ((20, 0), (5, 5), (0, 20)))
    assert passes([better, same, better], 0.025)
    assert not passes([same, better, better], 0.025)
    assert not passes([better, better, worse], 0.025)
    assert not passes([worse, better, better], 0.025)


def test_two_seeds_of_a_task_disagree_by_their_mean_distance() -> None:
    assert disagreement(measured("placebo@3", [1, 0, 1], [0, 0, 1]), "correct") == 1 / 3
    assert disagreement(measured("placebo@3", [1, 0, 1]), "correct") is None
