from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import normal_sample_size_one_tail

from optimizers.gate.exact import sign_p
from optimizers.gate.power import (
    BettingTest,
    mcnemar_mde,
    mcnemar_pairs,
    mcnemar_power,
    normal_power,
    pairs_needed,
    power_key,
)
from signatures.errors import UsageError


def test_five_points_at_the_spread_of_six_wins_in_sixteen() -> None:
    sd = float(np.std([1.0] * 6 + [0.0] * 10, ddof=1))
    assert pairs_needed(0.05, sd) == pytest.approx(620, abs=2)
    assert pairs_needed(0.05, sd, sides=2) == pytest.approx(785, abs=1)
    assert pairs_needed(0.05, sd, alpha=0.025) == pairs_needed(0.05, sd, sides=2)


@pytest.mark.parametrize("effect", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("sd", [0.1, 0.5])
def test_pairs_needed_agree_with_statsmodels_and_give_the_power(effect: float, sd: float) -> None:
    n = pairs_needed(effect, sd, alpha=0.025)
    assert n is not None
    assert n == pytest.approx(normal_sample_size_one_tail(effect, 0.8, 0.025, std_null=sd), abs=1)
    assert normal_power(effect, sd, n) >= 0.8 > normal_power(effect, sd, max(0, n - 1))


def test_no_spread_is_nothing_to_plan_with() -> None:
    assert pairs_needed(0.05, 0.0) is None
    with pytest.raises(UsageError):
        pairs_needed(0.0, 0.5)


@pytest.mark.parametrize(("effect", "discordant", "n"), [(0.1, 0.3, 48), (0.2, 0.5, 30), (0.16, 0.3, 100)])
def test_mcnemar_power_agrees_with_simulation(effect: float, discordant: float, n: int) -> None:
    rng, trials = np.random.default_rng(0), 4_000
    counts = rng.multinomial(n, [(discordant + effect) / 2, (discordant - effect) / 2, 1 - discordant], size=trials)
    found = np.mean([sign_p(int(wins), int(losses)) <= 0.025 for wins, losses, _ in counts])
    assert mcnemar_power(effect, discordant, n) == pytest.approx(found, abs=0.03)


def test_too_few_tasks_to_reach_alpha_have_no_power() -> None:
    assert mcnemar_power(0.9, 1.0, 5) == 0.0
    assert mcnemar_power(1.0, 1.0, 6) == pytest.approx(1.0)
    assert mcnemar_mde(0.5, 5) is None
    assert BettingTest(5, 0.25).power((0.05, 0.9)) == (0.0, 0.0)
    assert BettingTest(5, 0.25).mde() is None


def test_mcnemar_mde_is_found_with_that_power() -> None:
    mde = mcnemar_mde(0.3, 100)
    assert mde is not None
    assert mcnemar_power(mde, 0.3, 100) == pytest.approx(0.8, abs=0.01)


def test_betting_power_is_below_the_normal_test_and_rises_with_effect_and_n() -> None:
    small, large = BettingTest(48, 0.25).power((0.05, 0.1, 0.16)), BettingTest(250, 0.25).power((0.05, 0.1, 0.16))
    assert list(small) == sorted(small)
    assert all(less <= more for less, more in zip(small, large, strict=True))
    assert small[1] < normal_power(0.1, 0.25, 48)
    assert small[1] == pytest.approx(0.46, abs=0.08)
    assert BettingTest(48, 0.25, fixed=False).power((0.16,))[0] < small[2]


def test_betting_mde_is_found_with_that_power_in_any_unit() -> None:
    mde = BettingTest(100, 0.25).mde()
    assert mde is not None
    assert BettingTest(100, 0.25).power((mde,))[0] == pytest.approx(0.8, abs=0.05)
    percent = BettingTest(100, 25.0, bound=100.0).mde()
    assert percent == pytest.approx(100 * mde)


def test_many_tasks_take_the_normal_power() -> None:
    assert BettingTest(5_000, 0.25).power((0.01,)) == (normal_power(0.01, 0.25, 5_000),)


@pytest.mark.parametrize(("effect", "key"), [(0.05, "0.05"), (0.1, "0.10"), (0.033, "0.033"), (5.0, "5.00")])
def test_differences_are_named_by_their_digits(effect: float, key: str) -> None:
    assert power_key(effect) == key
    assert float(power_key(effect)) == effect


@pytest.mark.parametrize(("effect", "discordant"), [(0.1, 0.06), (0.1, 0.3), (0.2, 0.5)])
def test_mcnemar_pairs_have_the_power_and_far_fewer_do_not(effect: float, discordant: float) -> None:
    n = mcnemar_pairs(effect, discordant)
    assert n is not None
    assert mcnemar_power(effect, discordant, n) >= 0.8 > mcnemar_power(effect, discordant, n - 1)
    assert mcnemar_power(effect, discordant, n * 4 // 5) < 0.8


def test_more_pairs_than_are_counted_are_not_told() -> None:
    assert mcnemar_pairs(0.002, 0.5) is None
    with pytest.raises(UsageError):
        mcnemar_pairs(0.0, 0.5)
