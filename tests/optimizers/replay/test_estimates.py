"""Answers: a refusal raises with its reason, and what is unsupported only ever widens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.replay.estimates import Bound, Estimate, Refusal, Support, require, widened
from signatures.errors import NoSupport

unit = st.floats(0, 1)


def support(mean: float | None, se: float | None, unsupported: float = 0.0) -> Support:
    return Support(
        n=10, tasks=5, ess=9.0, largest_share=0.2, unsupported=unsupported, mean_weight=mean, mean_weight_se=se
    )


def test_a_refusal_raises_its_reason() -> None:
    with pytest.raises(NoSupport, match=r"c1: snips: 12 effective episodes"):
        require(Refusal(candidate="c1", estimator="snips", reason="12 effective episodes"))


def test_an_estimate_passes() -> None:
    bound = Bound(value=0.5, lo=0.4, hi=0.6)
    one = Estimate(candidate="c", estimator="dr", values={"correct": bound}, support=support(None, None))
    assert require(one) is one


@pytest.mark.parametrize(
    ("mean", "unsupported", "audited"), [(1.02, 0.0, True), (1.04, 0.0, False), (0.96, 0.04, True), (None, 0.0, None)]
)
def test_the_mean_weight_is_audited_at_three_standard_errors(
    mean: float | None, unsupported: float, audited: bool | None
) -> None:
    assert support(mean, None if mean is None else 0.01, unsupported).audited is audited


@given(value=unit, below=unit, above=unit, less=unit, more=unit)
def test_more_unsupported_never_narrows(value: float, below: float, above: float, less: float, more: float) -> None:
    less, more = sorted((less, more))
    lo, hi = max(0.0, value - below), min(1.0, value + above)
    narrow, wide = widened(value, lo, hi, less), widened(value, lo, hi, more)
    assert narrow.lo is not None and narrow.hi is not None and wide.lo is not None and wide.hi is not None
    assert wide.lo <= narrow.lo + 1e-12 and narrow.hi <= wide.hi + 1e-12
    assert 0 <= wide.lo <= value <= wide.hi <= 1


def test_no_interval_stays_none() -> None:
    assert widened(0.5, None, None, 0.3) == Bound(value=0.5, lo=None, hi=None)
