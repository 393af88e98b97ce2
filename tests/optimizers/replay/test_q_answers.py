"""From points to answers: bounds by hand, refusals before any model, blocks of candidates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.episode_log import Floats, Target
from optimizers.replay import Asked, Evidence
from optimizers.replay.estimates import Estimate, Refusal, require
from optimizers.replay.layered import Layered
from optimizers.replay.q_answers import Points, Scorer, answers, bounded
from optimizers.replay.support import BLOCK
from signatures.errors import UsageError
from tests.worlds.quarters import CANDIDATES_L_C, quarters, target


def test_a_bound_by_hand() -> None:
    # t quantile with 9 degrees of freedom: 2.2622
    bound = bounded(0.5, 0.1, 10, 0.0)
    assert (bound.value, bound.lo, bound.hi) == pytest.approx((0.5, 0.27378, 0.72622), abs=1e-5)
    wider = bounded(0.5, 0.1, 10, 0.04)
    assert (wider.value, wider.lo, wider.hi) == pytest.approx((0.5, 0.23378, 0.76622), abs=1e-5)


def test_a_bound_lies_on_the_scale() -> None:
    high, low = bounded(1.2, 0.05, 10, 0.0), bounded(-0.3, 0.01, 10, 0.0)
    assert high.value == 1.0 and high.hi == 1.0
    assert (low.value, low.lo, low.hi) == (0.0, 0.0, 0.0)


def test_too_few_tasks_have_no_interval() -> None:
    assert bounded(0.5, float("nan"), 1, 0.0).lo is None
    assert bounded(0.5, 0.1, 1, 0.02).hi is None


@given(st.floats(-0.5, 1.5), st.floats(0, 1), st.floats(0, 0.05), st.floats(0, 0.05))
def test_more_unsupported_never_narrows(value: float, error: float, u: float, more: float) -> None:
    narrow, wide = bounded(value, error, 20, min(u, more)), bounded(value, error, 20, max(u, more))
    assert narrow.lo is not None and narrow.hi is not None and wide.lo is not None and wide.hi is not None
    assert 0 <= wide.lo <= narrow.lo + 1e-12 and narrow.hi - 1e-12 <= wide.hi <= 1
    assert narrow.lo <= narrow.value <= narrow.hi


def first_option(layers: Layered) -> Scorer:
    """Values that name the candidate: its probability of the first option."""
    return lambda policy_L_C: Points(np.stack([policy_L_C[0]] * 2), np.zeros((2, policy_L_C.shape[1])))


def never(layers: Layered) -> Scorer:
    raise AssertionError("a model was fitted although all are refused")


def test_refused_candidates_are_not_scored_and_the_others_keep_their_place() -> None:
    probability_L_C = np.column_stack([CANDIDATES_L_C, 0.5 * CANDIDATES_L_C[:, :1]])[:, [0, 3, 1, 2]]
    found = answers("x", *_asked(Target(("a", "half", "b", "c"), probability_L_C)), first_option)
    assert [type(answer) for answer in found] == [Estimate, Refusal, Estimate, Estimate]
    assert [answer.candidate for answer in found] == ["a", "half", "b", "c"]
    kept = [require(answer).values["correct"].value for answer in found if isinstance(answer, Estimate)]
    assert kept == pytest.approx(CANDIDATES_L_C[0])


def test_nothing_is_fitted_for_refused_candidates_alone() -> None:
    (refused,) = answers("x", *_asked(Target(("half",), 0.5 * CANDIDATES_L_C[:, :1])), never)
    assert isinstance(refused, Refusal) and "never recorded" in refused.reason


def test_many_candidates_come_in_blocks_in_order() -> None:
    C = 2 * BLOCK + 3
    sizes: list[int] = []

    def scorer(layers: Layered) -> Scorer:
        def score(policy_L_C: Floats) -> Points:
            sizes.append(policy_L_C.shape[1])
            return first_option(layers)(policy_L_C)

        return score

    share_C = np.linspace(0.2, 0.3, C)
    probability_L_C = np.repeat(CANDIDATES_L_C[:, :1], C, axis=1)
    probability_L_C[0], probability_L_C[1] = share_C, 0.75 - share_C
    found = answers("x", *_asked(Target(tuple(f"c{c}" for c in range(C)), probability_L_C)), scorer)
    assert sizes == [BLOCK, BLOCK, 3]
    assert [require(answer).values["cheap"].value for answer in found] == pytest.approx(share_C)


def test_without_a_log_or_probabilities_it_is_the_callers_mistake() -> None:
    with pytest.raises(UsageError, match="log"):
        answers("x", Evidence(), Asked(("a",), target=target()), never)
    with pytest.raises(UsageError, match="probabilities"):
        answers("x", Evidence(log=quarters()), Asked(("a",)), never)


def _asked(wanted: Target) -> tuple[Evidence, Asked]:
    return Evidence(log=quarters(copies=2)), Asked(wanted.names, target=wanted)
