"""One decision from all evidence: the order of the rules, their words, and the fixtures that must hold."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from optimizers.gate.decide import Question, decide, power_for
from optimizers.gate.evidence import evidence_of
from optimizers.gate.paired import pairs_of
from optimizers.gate.records import Decided, Evidence

DECISIONS = ("promote", "hold", "harm", "underpowered", "confounded", "uninformative")
BETTER = {"effect": 0.2, "lo": 0.05, "hi": 0.35, "p": 0.01, "p_harm": 0.99}
WORSE = {"effect": -0.2, "lo": -0.35, "hi": -0.05, "p": 0.99, "p_harm": 0.01}
LEVEL = {"effect": 0.0, "lo": -0.03, "hi": 0.03}
UNSURE = {"effect": 0.0, "lo": -0.3, "hi": 0.3}


def evidence(objective: str = "correct", /, **changed: object) -> Evidence:
    """Forty tasks without a difference that shows, unless changed."""
    body: dict[str, object] = {
        "objective": objective,
        "kind": "bounded",
        "n": 40,
        "wins": 15,
        "losses": 15,
        "baseline": 0.5,
        "candidate": 0.5,
        "sd": 0.5,
        "shown_lo": None,
        "shown_hi": None,
        "e_value": 1.0,
        "p": 0.5,
        "p_harm": 0.5,
        "min_p": 0.001,
        "mde": 0.1,
        "power": {"0.05": 0.1, "0.10": 0.6},
        **UNSURE,
    }
    return Evidence.model_validate({**body, **changed})


def decided(*found: Evidence, **changed: object) -> Decided:
    return decide(Question.model_validate({"evidence": found, **changed}))


def pass_fail(wins: int, losses: int, ties: int, **changed: object) -> Decided:
    """The decision on so many pass/fail pairs, half of the ties passed by both."""
    candidate = [1.0] * wins + [0.0] * losses + [float(i % 2) for i in range(ties)]
    baseline = [0.0] * wins + [1.0] * losses + [float(i % 2) for i in range(ties)]
    return on(baseline, candidate, **changed)


def on(baseline: Sequence[float], candidate: Sequence[float], **changed: object) -> Decided:
    values = ({f"t{i}": [value] for i, value in enumerate(side)} for side in (baseline, candidate))
    effect = changed.get("min_effect")
    assert effect is None or isinstance(effect, float)
    return decided(evidence_of(pairs_of("correct", *values), min_effect=effect), **changed)


# the fixtures


def test_six_wins_of_sixteen_are_promising_and_underpowered() -> None:
    found = pass_fail(6, 0, 10, min_effect=0.05)
    assert found.decision == "underpowered"
    assert found.evidence[0].p == pytest.approx(1 / 64)
    words = "promising, underpowered: at that spread 5 points need about 620 pairs one-sided, 785 two-sided"
    assert words in found.reasons[0]


def test_the_exact_test_says_what_it_needs_itself() -> None:
    """Two of 34 pairs differ: the normal approximation says 36 pairs, and 34 have next to no power."""
    words = pass_fail(2, 0, 32, min_effect=0.1).reasons[0]
    assert "10 points need about 36 pairs one-sided, 45 two-sided" in words
    assert words.endswith("34 pairs have power 0.12 in the exact test, which needs about 78")


def test_without_a_registered_effect_the_same_pairs_are_promoted() -> None:
    assert pass_fail(6, 0, 10).decision == "promote"


def test_four_discordant_of_six_are_not_promoted() -> None:
    found = pass_fail(4, 0, 2)
    assert found.decision == "underpowered"
    assert found.evidence[0].p == pytest.approx(0.0625)
    assert "4 discordant of 6 tasks can give no p below 0.0625" in found.reasons[0]


def test_five_wins_of_six_are_not_promoted() -> None:
    found = pass_fail(5, 0, 1)
    assert found.evidence[0].p == pytest.approx(0.0625 / 2)
    assert found.decision == "underpowered"


def test_fifteen_wins_against_five_are_promoted() -> None:
    found = pass_fail(15, 5, 56)
    assert found.evidence[0].p == pytest.approx(0.0207, abs=5e-5)
    assert found.decision == "promote"
    assert found.changes == {"correct": "improved"}
    assert "+13.2 points" in found.reasons[0]


def test_the_same_program_is_held_whatever_it_scored() -> None:
    found = pass_fail(4, 0, 96, same=True)
    assert found.evidence[0].effect == pytest.approx(0.04)
    assert found.decision == "hold"
    assert pass_fail(40, 0, 60, same=True).decision == "hold"
    assert "same program" in found.reasons[0]


def test_equal_small_gains_on_six_tasks_are_not_promoted() -> None:
    found = on([0.5] * 6, [0.5204] * 6)
    assert found.decision != "promote"
    assert found.changes == {"correct": "too few"}


def test_the_mirror_of_a_promotion_is_harm() -> None:
    found = pass_fail(5, 15, 56)
    assert found.decision == "harm"
    assert "-13.2 points" in found.reasons[0]


def test_no_difference_anywhere_is_uninformative() -> None:
    found = pass_fail(0, 0, 40)
    assert found.decision == "uninformative"
    assert "no discordant pair" in found.reasons[0]


def test_no_task_is_uninformative() -> None:
    assert on([], []).decision == "uninformative"


# the rules, one by one


def test_better_on_the_primary_and_level_on_the_others_is_promoted() -> None:
    found = decided(evidence(**BETTER), evidence("fast", **LEVEL), margins={"fast": 0.05})
    assert (found.decision, found.changes) == ("promote", {"correct": "improved", "fast": "flat"})


def test_the_q_of_the_family_decides() -> None:
    assert decided(evidence(**{**BETTER, "q": 0.03})).decision == "hold"
    assert decided(evidence(**{**BETTER, "q": 0.02})).decision == "promote"


def test_another_objective_that_may_be_worse_holds_it_back() -> None:
    found = decided(evidence(**BETTER), evidence("fast", **UNSURE), margins={"fast": 0.05})
    assert found.decision == "hold"
    assert "beyond the margin of 5 points: fast" in found.reasons[0]


def test_another_objective_without_a_margin_holds_it_back() -> None:
    found = decided(evidence(**BETTER), evidence("fast", **LEVEL))
    assert found.decision == "hold"
    assert "no margin is registered for fast" in found.reasons[0]


def test_better_elsewhere_alone_is_no_promotion() -> None:
    found = decided(evidence(**LEVEL), evidence("fast", **BETTER), margins={"correct": 0.05, "fast": 0.05})
    assert found.decision == "hold"


def test_another_objective_worse_than_its_margin_is_harm() -> None:
    worse = evidence("fast", effect=-0.2, lo=-0.3, hi=-0.1, p_harm=0.001)
    found = decided(evidence(**BETTER), worse, margins={"fast": 0.05})
    assert found.decision == "harm"
    assert "fast" in found.reasons[0]
    assert decided(evidence(**BETTER), worse, margins={"fast": 0.15}).decision == "hold"


def test_a_missing_verdict_blocks_and_is_no_zero() -> None:
    found = decided(evidence(**BETTER), missing=2)
    assert found.decision == "hold"
    assert "2 values are missing" in found.reasons[0]
    assert decided(evidence(**{**BETTER, "missing": 1})).decision == "hold"


def test_balanced_infrastructure_failures_do_not_block() -> None:
    lost = evidence(**{**BETTER, "missing": 2})
    assert decided(lost, excluded=2).decision == "promote"
    assert decided(lost, excluded=1).decision == "hold"


def test_a_dearer_candidate_is_confounded_and_never_promoted() -> None:
    reasons = ("turns: 120 against 100",)
    found = decided(evidence(**BETTER), confounded=reasons)
    assert (found.decision, found.reasons) == ("confounded", reasons)
    assert decided(evidence(**WORSE), confounded=reasons).decision == "harm"


def test_not_worse_and_cheaper_is_promoted() -> None:
    margins = {"correct": 0.05, "fast": 0.05}
    both = (evidence(**LEVEL), evidence("fast", **LEVEL))
    assert decided(*both, margins=margins).decision == "hold"
    found = decided(*both, margins=margins, cheaper=True)
    assert found.decision == "promote"
    assert "cheaper" in found.reasons[0]
    assert decided(*both, margins={"fast": 0.05}, cheaper=True).decision == "hold"
    assert decided(both[0], evidence("fast", **UNSURE), margins=margins, cheaper=True).decision == "hold"


def test_cheaper_with_equal_outcomes_is_promoted_once_there_are_enough() -> None:
    still = evidence(**{**LEVEL, "wins": 0, "losses": 0, "min_p": 1.0})
    assert decided(still, margins={"correct": 0.05}).decision == "uninformative"
    assert decided(still, margins={"correct": 0.05}, cheaper=True).decision == "promote"
    assert decided(still, margins={"correct": 0.01}, cheaper=True).decision == "uninformative"


def test_too_little_power_for_the_registered_effect_is_underpowered_whatever_p_is() -> None:
    lucky = {**BETTER, "p": 1e-9}
    assert decided(evidence(**lucky), min_effect=0.05).decision == "underpowered"
    assert decided(evidence(**lucky), min_effect=0.1).decision == "promote"
    assert (
        decided(evidence(**LEVEL), min_effect=0.05, margins={"correct": 0.05}, cheaper=True).decision == "underpowered"
    )


def test_power_that_was_not_computed_is_no_power() -> None:
    assert decided(evidence(**BETTER), min_effect=0.2).decision == "underpowered"
    assert power_for(evidence(power={"0.05": 0.25}), 0.05) == 0.25
    assert power_for(evidence(power={"0.05": 0.25}), 0.051) is None


def test_only_what_would_have_passed_is_called_promising() -> None:
    assert decided(evidence(**BETTER), min_effect=0.05).reasons[0].startswith("promising, underpowered")
    assert decided(evidence(**UNSURE), min_effect=0.05).reasons[0].startswith("underpowered")


def test_points_are_hundredths_of_the_range() -> None:
    wide = evidence(**{**BETTER, "effect": 20.0, "lo": 5.0, "hi": 35.0, "sd": 50.0, "power": {"5": 0.1}})
    found = decided(wide, min_effect=5.0, points={"correct": 1.0})
    assert "5 points need about 620 pairs one-sided, 785 two-sided" in found.reasons[0]
    assert "+20.0 points [+5.0, +35.0]" in found.reasons[1]


@pytest.mark.parametrize(
    "changed",
    [
        {"evidence": ()},
        {"evidence": (evidence(), evidence())},
        {"margins": {"fast": 0.1}},
        {"margins": {"correct": -0.1}},
        {"points": {"correct": 0.0}},
        {"alpha": 0.5},
        {"min_effect": 0.0},
        {"missing": -1},
    ],
)
def test_a_question_that_cannot_be_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Question.model_validate({"evidence": (evidence(),), **changed})


@given(
    primary=st.sampled_from([BETTER, WORSE, LEVEL, UNSURE]),
    other=st.sampled_from([BETTER, WORSE, LEVEL, UNSURE]),
    same=st.booleans(),
    cheaper=st.booleans(),
    confounded=st.booleans(),
    missing=st.integers(0, 1),
    min_effect=st.sampled_from([None, 0.05, 0.1]),
)
def test_a_promotion_has_all_that_it_needs(
    primary: dict[str, float],
    other: dict[str, float],
    **rest: object,
) -> None:
    found = decided(
        evidence(**primary),
        evidence("fast", **other),
        margins={"correct": 0.05, "fast": 0.05},
        **{**rest, "confounded": ("dear",) if rest["confounded"] else ()},
    )
    assert found.decision in DECISIONS
    allowed = (
        not rest["same"]
        and not rest["missing"]
        and not rest["confounded"]
        and rest["min_effect"] != 0.05
        and found.changes["fast"] in ("improved", "flat")
        and (found.changes["correct"] == "improved" or (found.changes["correct"] == "flat" and bool(rest["cheaper"])))
    )
    assert (found.decision == "promote") == allowed


def test_more_wins_never_turn_a_promotion_back() -> None:
    decisions = [pass_fail(wins, 3, 40 - wins).decision for wins in range(3, 30)]
    assert decisions[0] == "hold"
    assert decisions[-1] == "promote"
    assert len(list(itertools.groupby(decisions))) == 2
