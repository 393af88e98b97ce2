"""How an objective changed: each claim from its own end of the interval or its own test, at the registered margin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.gate.pareto import change_of
from optimizers.gate.records import Evidence
from signatures.errors import UsageError


def evidence(
    lo: float | None, hi: float | None, *, p: float = 0.5, p_harm: float = 0.5, q: float | None = None
) -> Evidence:
    """Forty tasks with this interval and these p."""
    return Evidence(
        objective="fast",
        kind="bounded",
        n=40,
        wins=15,
        losses=15,
        baseline=0.5,
        candidate=0.5,
        effect=0.0,
        sd=0.2,
        lo=lo,
        hi=hi,
        shown_lo=None,
        shown_hi=None,
        e_value=1.0,
        p=p,
        p_harm=p_harm,
        q=q,
        min_p=0.001,
        mde=0.1,
        power={},
    )


def test_better_is_improved_whatever_the_margin() -> None:
    better = evidence(0.01, 0.2, p=0.01)
    assert change_of(better, 0.0) == change_of(better, 0.5) == "improved"


def test_the_q_of_the_family_decides_where_there_is_one() -> None:
    assert change_of(evidence(0.01, 0.2, p=0.01, q=0.04), 0.05) == "flat"
    assert change_of(evidence(0.01, 0.2, p=0.01, q=0.02), 0.05) == "improved"


def test_an_interval_above_zero_alone_does_not_improve() -> None:
    # a score interval can exclude 0 where the exact test does not: 4 wins of 6 and no loss
    assert change_of(evidence(0.02, 0.9, p=0.0625), 0.0) == "too few"


def test_flat_is_not_worse_by_more_than_the_margin() -> None:
    assert change_of(evidence(-0.04, 0.04), 0.05) == "flat"
    assert change_of(evidence(-0.05, 0.04), 0.05) == "flat"
    assert change_of(evidence(-0.06, 0.04), 0.05) == "too few"


def test_a_small_credible_loss_within_the_margin_is_flat() -> None:
    assert change_of(evidence(-0.04, -0.01, p=0.99, p_harm=0.01), 0.05) == "flat"


def test_regressed_is_worse_by_more_than_the_margin() -> None:
    assert change_of(evidence(-0.3, -0.06, p=0.99, p_harm=0.01), 0.05) == "regressed"
    assert change_of(evidence(-0.3, -0.04, p=0.99, p_harm=0.01), 0.05) == "too few"


def test_without_a_margin_any_credible_loss_is_too_much_and_nothing_is_flat() -> None:
    assert change_of(evidence(-0.3, -0.01, p=0.99, p_harm=0.01)) == "regressed"
    assert change_of(evidence(0.0, 0.0)) == "too few"


def test_an_interval_below_zero_alone_does_not_regress() -> None:
    assert change_of(evidence(-0.9, -0.2, p_harm=0.0625), 0.05) == "too few"


def test_no_interval_shows_nothing() -> None:
    assert change_of(evidence(None, None), 0.5) == "too few"


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(UsageError, match="margin"):
        change_of(evidence(-0.1, 0.1), margin)


@given(
    ends=st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted),
    margins=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    p=st.floats(0, 1),
)
def test_a_wider_margin_never_makes_it_worse(ends: list[float], margins: list[float], p: float) -> None:
    order = ["regressed", "too few", "flat", "improved"]
    one = evidence(*ends, p=p, p_harm=1 - p)
    narrow, wide = (order.index(change_of(one, margin)) for margin in margins)
    assert narrow <= wide


def test_of_pass_fail_the_betting_interval_decides_what_is_not_worse() -> None:
    base = evidence(-0.04, 0.1)
    tango = base.model_copy(update={"kind": "pass/fail", "sure_lo": -0.2, "sure_hi": 0.3})
    assert change_of(base, 0.05) == "flat"
    assert change_of(tango, 0.05) == "too few"
    assert change_of(tango.model_copy(update={"sure_lo": -0.05}), 0.05) == "flat"
