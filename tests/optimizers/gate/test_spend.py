"""What the arms spent: more makes a result worthless, less is fine, and a saving is shown or not claimed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.gate.spend import (
    Spend,
    SpendByTask,
    cheaper,
    confounded,
    require_equal_grants,
    savings,
    spend_of,
    unequal_exclusions,
)
from signatures.errors import UnequalCompute, UsageError
from signatures.records import Amounts

CONTROL = Spend(arm="placebo@3", episodes=40, attempts=120, turns=1_200, tokens=100_000, usd=0.5)


def by_task(turns: list[int]) -> SpendByTask:
    return {f"t{i}": [Amounts(turns=one)] for i, one in enumerate(turns)}


def changed(**fields: object) -> Spend:
    return CONTROL.model_copy(update={"arm": "refine@3", **fields})


def test_an_arm_with_twenty_percent_more_tokens_is_confounded() -> None:
    (reason,) = confounded(changed(tokens=120_000), CONTROL)
    assert reason == "refine@3 spent 3000 tokens per episode, placebo@3 2500 (+20.0%): over 5% more"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, []),
        ({"turns": 1_260, "tokens": 105_000, "usd": 0.525}, []),
        ({"turns": 1_261}, ["turns"]),
        ({"usd": 0.53, "tokens": 106_000}, ["tokens", "usd"]),
        ({"turns": 10, "tokens": 0, "usd": 0.0}, []),
        ({"turns": 600, "tokens": 120_000}, ["tokens"]),
        ({"attempts": 1_200}, []),
        ({"tokens": None, "usd": None}, []),
    ],
)
def test_more_of_any_compute_is_named_and_less_is_fine(fields: dict[str, object], named: list[str]) -> None:
    reasons = confounded(changed(**fields), CONTROL)
    assert [reason.split()[3] for reason in reasons] == named


def test_a_models_calls_do_not_hide_beside_a_control_without_a_model() -> None:
    without = CONTROL.model_copy(update={"tokens": None, "usd": 0.0})
    tokens, usd = confounded(changed(), without)
    assert "placebo@3 0 (none there)" in tokens
    assert "usd" in usd
    assert confounded(without, without) == ()


def test_arms_with_other_numbers_of_episodes_are_compared_by_episode() -> None:
    assert confounded(changed(episodes=20, turns=600, tokens=50_000, usd=0.25), CONTROL) == ()
    assert len(confounded(changed(episodes=20), CONTROL)) == 3


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_never_both_arms_are_confounded(ours: int, theirs: int) -> None:
    a, b = (Spend(arm=name, episodes=7, turns=turns) for name, turns in (("a", ours), ("b", theirs)))
    assert not (confounded(a, b) and confounded(b, a))
    assert bool(confounded(a, b)) == (20 * ours > 21 * theirs)


def test_an_arms_spend_is_the_sum_over_its_episodes() -> None:
    spent = {"a": [Amounts(attempts=1, turns=3, usd=0.5), Amounts(attempts=2)], "b": [Amounts(attempts=1, turns=4)]}
    assert spend_of("arm", spent) == Spend(arm="arm", episodes=3, attempts=4, turns=7, usd=0.5)
    with pytest.raises(UsageError, match="arm empty: has no episode"):
        spend_of("empty", {"a": []})


def test_grants_must_be_equal_but_for_attempts() -> None:
    grants = {"random@3": Amounts(attempts=3, turns=36), "long@1": Amounts(attempts=1, turns=36)}
    require_equal_grants(grants)
    with pytest.raises(UnequalCompute, match="same turns: random@3 36, long@1 36, refine@3 no limit"):
        require_equal_grants({**grants, "refine@3": Amounts(attempts=3)})


def test_a_real_saving_is_shown() -> None:
    rng = np.random.default_rng(0)
    control = rng.integers(20, 36, 40).tolist()
    treatment = [turns - int(rng.integers(0, 10)) for turns in control]
    (turns,) = savings(by_task(treatment), by_task(control))
    assert turns.mean == pytest.approx(np.mean(np.array(control) - treatment))
    assert turns.n == 40
    assert turns.lo is not None and turns.hi is not None and 0 < turns.lo < turns.mean < turns.hi
    (words,) = cheaper([turns])
    assert words.startswith(f"saves {turns.mean:.4g} turns per episode [")
    assert cheaper(savings(by_task(control), by_task(treatment))) == ()


def test_a_saving_that_five_tasks_cannot_show_is_not_claimed_although_its_interval_is_above_zero() -> None:
    (turns,) = savings(by_task([10, 11, 10, 12, 9]), by_task([20, 22, 21, 19, 20]))
    assert turns.lo is not None and turns.lo > 0
    assert turns.p == pytest.approx(2**-5)
    assert cheaper([turns]) == ()


def test_the_chance_is_shared_among_the_resources_that_were_looked_at() -> None:
    ours, theirs = [10, 11, 10, 12, 9, 10], [20, 22, 21, 19, 20, 25]
    (turns,) = savings(by_task(ours), by_task(theirs))
    assert turns.p == pytest.approx(2**-6)
    assert len(cheaper([turns])) == 1
    both = [
        {f"t{i}": [Amounts(turns=turns, tokens=turns)] for i, turns in enumerate(spent)} for spent in (ours, theirs)
    ]
    found = savings(*both)
    assert [(one.p, one.alpha) for one in found] == [(turns.p, 0.0125)] * 2
    assert cheaper(found) == ()


def test_a_saving_under_a_grant_is_shown_by_betting() -> None:
    rng = np.random.default_rng(0)
    control = rng.integers(20, 36, 60)
    treatment = control - rng.integers(0, 16, 60)
    arms = by_task(treatment.tolist()), by_task(control.tolist())
    (turns,) = savings(*arms, granted=Amounts(turns=36))
    assert turns.method == "betting" and turns.shown
    assert turns.lo is not None and turns.hi is not None and 0 < turns.lo < turns.mean < turns.hi
    (reversed_turns,) = savings(*arms[::-1], granted=Amounts(turns=36))
    assert not reversed_turns.shown and reversed_turns.hi is not None and reversed_turns.hi < 0


def test_many_small_savings_that_a_rare_dear_task_eats_up_are_not_claimed_under_a_grant() -> None:
    """Mean saving 0: 98 % of tasks save 20 of 1,000 tokens, 2 % cost 980 more."""
    rng = np.random.default_rng(2)
    trials, claimed, fooled = 100, 0, 0
    for _ in range(trials):
        saved = np.where(rng.random(20) < 0.02, -980, 20)
        ours, theirs = (
            {f"t{i}": [Amounts(tokens=int(one))] for i, one in enumerate(arm)}
            for arm in (1000 - saved, saved * 0 + 1000)
        )
        claimed += bool(cheaper(savings(ours, theirs, granted=Amounts(tokens=2000))))
        fooled += bool(cheaper(savings(ours, theirs)))
    assert claimed == 0
    assert fooled > trials / 2, "which is why the docstring asks for a grant"


def test_spending_beyond_the_grant_widens_the_bound() -> None:
    ours, theirs = by_task([10] * 40), by_task([20] * 39 + [90])
    (tight,), (wide,) = (
        savings(ours, theirs, granted=Amounts(turns=36)),
        savings(ours, theirs, granted=Amounts(turns=90)),
    )
    assert tight == wide
    (nothing,) = savings(by_task([0, 0]), by_task([0, 0]), granted=Amounts(turns=0))
    assert (nothing.mean, nothing.p, nothing.shown) == (0.0, 1.0, False)


@pytest.mark.parametrize("tasks", [2, 9, 13, 14, 40])
def test_the_flipped_p_is_scipys(tasks: int) -> None:
    from scipy.stats import permutation_test

    saved = np.random.default_rng(tasks).normal(0.3, 1.0, tasks)
    ours, theirs = ({f"t{i}": [Amounts(usd=usd)] for i, usd in enumerate(side)} for side in (9 - saved, 9 + 0 * saved))
    (usd,) = savings(ours, theirs)
    tested = permutation_test(
        (saved,), np.mean, permutation_type="samples", alternative="greater", rng=0, vectorized=True
    )
    exact = 2**tasks <= 9_999
    assert usd.p == pytest.approx(tested.pvalue, abs=1e-12 if exact else 0.02)


def test_equal_spend_saves_nothing() -> None:
    (turns,) = savings(by_task([12] * 30), by_task([12] * 30))
    assert (turns.mean, turns.p) == (0.0, 1.0)
    assert cheaper([turns]) == ()


def test_a_single_task_shows_no_saving() -> None:
    (turns,) = savings(by_task([1]), by_task([36]))
    assert (turns.mean, turns.lo, turns.p) == (35.0, None, 0.5)
    assert cheaper([turns]) == ()


def test_only_what_both_arms_measured_is_compared() -> None:
    ours: SpendByTask = {"a": [Amounts(turns=4, tokens=9)], "b": [Amounts(turns=2), Amounts()], "c": [Amounts()]}
    theirs: SpendByTask = {"a": [Amounts(turns=5)], "b": [Amounts(turns=6), Amounts(turns=4)], "d": [Amounts(turns=1)]}
    (turns,) = savings(ours, theirs)
    assert (turns.resource, turns.mean, turns.n) == ("turns", 2.0, 2)


@pytest.mark.parametrize("tasks", [7, 12])
def test_a_relabelled_copy_is_seldom_called_cheaper(tasks: int) -> None:
    rng = np.random.default_rng(1)
    trials, claimed = 200, 0
    for _ in range(trials):
        ours, theirs = (
            {
                f"t{i}": [Amounts(turns=int(a), tokens=int(b))]
                for i, (a, b) in enumerate(rng.integers(5, 99, (tasks, 2)))
            }
            for _ in range(2)
        )
        claimed += bool(cheaper(savings(ours, theirs)))
    assert claimed / trials <= 0.025 + 2 * (0.025 * 0.975 / trials) ** 0.5


def test_exclusions_that_differ_by_more_than_chance_are_a_refusal() -> None:
    reason = unequal_exclusions(0, 50, 9, 50)
    assert reason is not None and "took 0 of 50 episodes from one arm and 9 of 50" in reason
    assert unequal_exclusions(2, 50, 4, 50) is None
    assert unequal_exclusions(0, 0, 0, 0) is None
    assert unequal_exclusions(9, 50, 0, 50) is not None
    assert unequal_exclusions(0, 50, 9, 50, alpha=0.001) is None
    for wrong in ((-1, 5, 0, 5), (6, 5, 0, 5), (0, 5, 6, 5)):
        with pytest.raises(UsageError, match="cannot have been excluded"):
            unequal_exclusions(*wrong)
