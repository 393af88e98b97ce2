from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from optimizers.gate.evidence import evidence_of, evidence_of_each
from optimizers.gate.paired import Pairs, Values, pairs_of
from optimizers.gate.records import Evidence
from optimizers.intervals import paired_interval
from signatures.errors import UsageError

ALPHA = 0.025


def _of_differences(differences: list[float]) -> Pairs:
    """Scores in the middle of the range, so that any difference fits."""
    baseline = {f"task {place}": [(1 - value) / 2] for place, value in enumerate(differences)}
    candidate = {f"task {place}": [(1 + value) / 2] for place, value in enumerate(differences)}
    return pairs_of("correct", baseline, candidate)


def _pass_fail(wins: int, losses: int, ties: int) -> Pairs:
    sides = [(0.0, 1.0)] * wins + [(1.0, 0.0)] * losses + [(1.0, 1.0)] * ties
    baseline = {f"task {place}": [first] for place, (first, _) in enumerate(sides)}
    candidate = {f"task {place}": [second] for place, (_, second) in enumerate(sides)}
    return pairs_of("correct", baseline, candidate)


def _promotes(evidence: Evidence) -> bool:
    return evidence.p <= ALPHA and evidence.min_p <= ALPHA


def test_seventy_six_pairs_pass_though_the_median_is_blind() -> None:
    evidence = evidence_of(_pass_fail(15, 5, 56))
    assert (evidence.kind, evidence.n, evidence.discordant) == ("pass/fail", 76, 20)
    assert evidence.p == pytest.approx(0.0207, abs=5e-5)
    assert evidence.effect == pytest.approx(0.132, abs=5e-4)
    assert evidence.p_harm == pytest.approx(binomtest(5, 20, alternative="greater").pvalue)
    assert evidence.lo is not None and evidence.lo > 0
    assert _promotes(evidence)


def test_six_wins_ten_ties_are_promising_and_underpowered() -> None:
    evidence = evidence_of(_pass_fail(6, 0, 10), min_effect=0.05)
    assert evidence.p == pytest.approx(0.0156, abs=5e-5)
    assert evidence.power["0.05"] < 0.5
    # the gate's level is .025 on one side, which is the two-sided .05
    assert evidence.pairs_needed == pytest.approx(785, abs=1)


def test_four_discordant_of_six_cannot_reach_alpha_whatever_the_bootstrap_shows() -> None:
    evidence = evidence_of(_of_differences([0.0, 0.0, 0.35, 0.45, 0.45, 0.6]))
    assert evidence.min_p == 0.0625
    assert evidence.p >= 0.0625
    assert (evidence.shown_lo, evidence.shown_hi) == pytest.approx((0.133, 0.483), abs=0.01)
    assert not _promotes(evidence)


def test_five_wins_of_six_are_not_enough() -> None:
    evidence = evidence_of(_pass_fail(5, 0, 1))
    assert evidence.p == pytest.approx(0.0625 / 2)
    assert not _promotes(evidence)


def test_six_equal_small_gains_are_not_evidence() -> None:
    evidence = evidence_of(_of_differences([0.0204] * 6))
    assert (evidence.kind, evidence.wins, evidence.losses) == ("bounded", 6, 0)
    assert evidence.shown_lo is not None and evidence.shown_lo > 0
    assert evidence.p > 0.5
    assert evidence.lo is not None and evidence.lo < 0
    assert not _promotes(evidence)


def test_a_clear_gain_on_a_score_is_promoted_and_its_reverse_is_harm() -> None:
    differences = np.clip(np.random.default_rng(1).normal(0.2, 0.25, 60), -1, 1).tolist()
    gain, loss = evidence_of(_of_differences(differences)), evidence_of(_of_differences([-d for d in differences]))
    assert _promotes(gain) and gain.e_value >= 1 / ALPHA
    assert loss.p_harm <= ALPHA and loss.p == 1.0
    assert gain.lo is not None and loss.hi is not None
    assert 0 < gain.lo == pytest.approx(-loss.hi)


def test_repeats_of_a_task_do_not_pass_for_tasks() -> None:
    """Six tasks of fifty like repeats each are six pairs, and no task that counts fifty times."""
    baseline: Values = {f"task {place}": [0.4] * 50 for place in range(6)}
    candidate: Values = {f"task {place}": [0.5] * 50 for place in range(6)}
    once = evidence_of(
        pairs_of("correct", {t: v[:1] for t, v in baseline.items()}, {t: v[:1] for t, v in candidate.items()})
    )
    often = evidence_of(pairs_of("correct", baseline, candidate))
    assert often.n == 6
    assert often.p == pytest.approx(once.p)
    assert not _promotes(often)


def test_repeats_of_pass_fail_are_bet_on() -> None:
    evidence = evidence_of(pairs_of("correct", {"a": [0.0, 1.0]}, {"a": [1.0, 1.0]}))
    assert evidence.kind == "bounded"
    assert evidence.effect == 0.5


def test_pass_fail_looked_at_every_n_is_bet_on_too() -> None:
    fixed, stopped = evidence_of(_pass_fail(9, 1, 30)), evidence_of(_pass_fail(9, 1, 30), optional_stopping=True)
    assert (fixed.kind, stopped.kind) == ("pass/fail", "bounded")
    assert stopped.p == pytest.approx(1 / stopped.e_value)
    assert stopped.p > fixed.p


def test_no_task_is_no_evidence() -> None:
    evidence = evidence_of(pairs_of("correct", {"a": [None]}, {"a": [1.0]}), min_effect=0.1)
    assert (evidence.n, evidence.missing, evidence.p, evidence.min_p, evidence.e_value) == (0, 1, 1.0, 1.0, 1.0)
    assert evidence.effect is evidence.lo is evidence.sd is evidence.mde is evidence.pairs_needed is None
    assert set(evidence.power.values()) == {0.0}


def test_a_candidate_equal_to_its_baseline_has_no_discordant_pair() -> None:
    for pairs in (_of_differences([0.0] * 30), _pass_fail(0, 0, 30)):
        evidence = evidence_of(pairs)
        assert (evidence.discordant, evidence.p, evidence.p_harm, evidence.min_p) == (0, 1.0, 1.0, 1.0)


def test_power_is_told_for_five_points_ten_points_and_the_registered_effect() -> None:
    evidence = evidence_of(_of_differences([0.2, -0.1] * 30), min_effect=0.033)
    assert list(evidence.power) == ["0.05", "0.10", "0.033"]
    assert evidence.power["0.033"] <= evidence.power["0.05"] <= evidence.power["0.10"]
    assert list(evidence_of(_of_differences([0.2, -0.1]), min_effect=0.1).power) == ["0.05", "0.10"]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_the_order_of_arrival_changes_nothing_at_a_registered_n(differences: list[float]) -> None:
    pairs = _of_differences(differences)
    order = np.random.default_rng(len(differences)).permutation(len(differences))
    baseline: Values = {pairs.tasks[place]: [float(pairs.baseline_T[place])] for place in order}
    candidate: Values = {pairs.tasks[place]: [float(pairs.candidate_T[place])] for place in order}
    there, back = evidence_of(pairs), evidence_of(pairs_of("correct", baseline, candidate))
    assert (there.e_value, there.p, there.p_harm, there.lo, there.hi) == pytest.approx(
        (back.e_value, back.p, back.p_harm, back.lo, back.hi)
    )
    assert there.p >= there.min_p
    assert there.lo is not None and there.effect is not None and there.hi is not None
    assert there.lo <= there.effect + 1e-9 and there.effect - 1e-9 <= there.hi


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_pass_fail_is_decided_by_mcnemar_and_one_side_at_most(wins: int, losses: int, ties: int) -> None:
    if wins + losses + ties == 0:
        return
    evidence = evidence_of(_pass_fail(wins, losses, ties))
    assert evidence.min_p <= evidence.p
    assert not (evidence.p <= ALPHA and evidence.p_harm <= ALPHA)
    if wins + losses:
        assert evidence.p == pytest.approx(binomtest(wins, wins + losses, alternative="greater").pvalue)


@pytest.mark.parametrize("alpha", [0.0, 0.5, float("nan")])
def test_a_level_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(UsageError, match="alpha"):
        evidence_of(_pass_fail(1, 1, 1), alpha=alpha)


@pytest.mark.parametrize("effect", [0.0, -0.1, float("inf"), float("nan")])
def test_a_smallest_effect_that_is_none_is_refused(effect: float) -> None:
    with pytest.raises(UsageError, match="smallest effect"):
        evidence_of(_pass_fail(1, 1, 1), min_effect=effect)


@pytest.mark.parametrize("optional_stopping", [False, True])
def test_many_experiments_at_once_get_what_each_gets_alone(optional_stopping: bool) -> None:
    rng = np.random.default_rng(3)
    many = [_of_differences(rng.uniform(-0.4, 0.9, n).tolist()) for n in (7, 20, 0, 20, 1, 20, 7)]
    many += [_pass_fail(*rng.integers(0, 8, 3).tolist()) for _ in range(12)]
    together = evidence_of_each(many, min_effect=0.2, optional_stopping=optional_stopping)
    alone = [evidence_of(one, min_effect=0.2, optional_stopping=optional_stopping) for one in many]
    assert together == alone


@given(differences=st.lists(st.floats(-1, 1), min_size=2, max_size=30))
@settings(deadline=None, max_examples=20)
def test_shared_resamples_show_the_interval_of_resamples_of_its_own(differences: list[float]) -> None:
    pairs = _of_differences(differences)
    evidence = evidence_of(pairs)
    sides = (
        dict(zip(pairs.tasks, ([value] for value in side), strict=True))
        for side in (pairs.candidate_T.tolist(), pairs.baseline_T.tolist())
    )
    expected = paired_interval(*sides)
    assert (evidence.shown_lo, evidence.shown_hi) == pytest.approx((expected.lo, expected.hi), abs=1e-9)
