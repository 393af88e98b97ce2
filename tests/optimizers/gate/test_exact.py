from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.descriptivestats import sign_test

from optimizers.gate.exact import least_p, mcnemar_p, sign_p, tango_interval
from signatures.errors import UsageError

COUNT = st.integers(0, 60)


@pytest.mark.parametrize(
    ("wins", "losses", "sides", "p"),
    [(15, 5, 1, 0.0207), (6, 0, 1, 0.0156), (4, 0, 1, 0.0625), (5, 0, 2, 0.0625), (0, 0, 1, 1.0), (0, 0, 2, 1.0)],
)
def test_known_levels(wins: int, losses: int, sides: int, p: float) -> None:
    assert mcnemar_p(wins, losses, sides=2 if sides == 2 else 1) == pytest.approx(p, abs=5e-5)


@given(COUNT, COUNT)
def test_levels_agree_with_scipy_and_statsmodels(wins: int, losses: int) -> None:
    two = mcnemar([[3, wins], [losses, 4]], exact=True).pvalue
    assert mcnemar_p(wins, losses, sides=2) == pytest.approx(min(1.0, two))
    if wins + losses:
        _, sign = sign_test([1] * wins + [-1] * losses)
        assert sign_p(wins, losses, sides=2) == pytest.approx(min(1.0, sign))
        one = binomtest(wins, wins + losses, alternative="greater").pvalue
        assert sign_p(wins, losses) == pytest.approx(one)


@given(COUNT, COUNT)
def test_no_level_is_below_the_least_of_so_many_discordant_tasks(wins: int, losses: int) -> None:
    assert sign_p(wins, losses) >= least_p(wins + losses)
    assert sign_p(wins, losses, sides=2) >= least_p(wins + losses, sides=2)
    assert sign_p(wins + losses, 0) == least_p(wins + losses)


@pytest.mark.parametrize(
    ("wins", "losses", "n", "lo", "hi"),
    [
        # Fagerland, Lydersen & Laake 2014, tables of Bentur et al. 2009 and Cavo et al. 2012
        (1, 7, 21, -0.517, -0.026),
        (6, 16, 161, -0.1240, -0.0054),
    ],
)
def test_tango_agrees_with_published_intervals(wins: int, losses: int, n: int, lo: float, hi: float) -> None:
    digits = 5e-4 if n == 21 else 5e-5
    assert tango_interval(wins, losses, n) == pytest.approx((lo, hi), abs=digits)


def test_tango_alone_would_promote_four_wins_without_a_loss() -> None:
    assert tango_interval(4, 0, 6)[0] > 0
    assert mcnemar_p(4, 0) > 0.025


def test_tango_without_a_discordant_pair_has_a_width() -> None:
    lo, hi = tango_interval(0, 0, 10)
    assert -lo == pytest.approx(hi)
    assert hi == pytest.approx(1.959964**2 / (10 + 1.959964**2), abs=1e-6)


@given(COUNT, COUNT, st.integers(1, 60))
def test_tango_turns_round_with_the_sides_and_holds_the_estimate(wins: int, losses: int, ties: int) -> None:
    n = wins + losses + ties
    lo, hi = tango_interval(wins, losses, n)
    assert (-hi, -lo) == pytest.approx(tango_interval(losses, wins, n))
    assert -1 <= lo <= (wins - losses) / n <= hi <= 1
    wider = tango_interval(wins, losses, n, confidence=0.99)
    assert wider[0] <= lo and hi <= wider[1]


@pytest.mark.parametrize(("wins", "losses", "n"), [(3, 3, 5), (0, 0, 0), (-1, 0, 5)])
def test_counts_that_cannot_be_are_refused(wins: int, losses: int, n: int) -> None:
    with pytest.raises(UsageError):
        tango_interval(wins, losses, n)
    with pytest.raises(UsageError):
        sign_p(-1, 3)
    with pytest.raises(UsageError):
        tango_interval(1, 1, 5, confidence=1.0)
