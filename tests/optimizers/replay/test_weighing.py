"""The common way: blocks do not show, refusals carry their support, the supported part is widened by the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizers.episode_log import Target
from optimizers.replay.estimates import Estimate, Refusal, widened
from optimizers.replay.inference import Intervals
from optimizers.replay.support import BLOCK
from optimizers.replay.weighing import Block, answered
from tests.worlds.enumerated import BEHAVIOUR_L, enumerated, policies


def counted(block: Block) -> Intervals:
    """A value that says which candidate it is: its probability to end at once."""
    value_M_C = np.stack([0.25 * block.table_L_C[0]] * 2)
    return Intervals(value_M_C, value_M_C - 0.1, value_M_C + 0.1)


def test_candidates_keep_their_order_over_blocks() -> None:
    target = policies(0, C=BLOCK + 5)
    found = answered("mine", enumerated(copies=200), target, counted)
    assert [answer.candidate for answer in found] == list(target.names)
    for c, answer in enumerate(found):
        assert isinstance(answer, Estimate) and answer.estimator == "mine"
        assert answer.values["cheap"].value == pytest.approx(target.probability_L_C[0, c])


def test_a_refusal_has_the_support_that_it_is_made_of() -> None:
    target = replace(policies(0), unknown=((), ("sing",), (), (), ()))
    found = answered("mine", replace(enumerated(), left_out={"judge": 4}), target, counted)
    assert isinstance(found[1], Refusal) and found[1].support is not None
    assert found[1].support.left_out == 4 and found[1].support.n == 320
    assert all(isinstance(answer, Estimate) for answer in (found[0], *found[2:]))


def test_what_is_unsupported_widens() -> None:
    lacking = Target(("c",), BEHAVIOUR_L[:, None] * np.array([0.97, 0.97, 1, 1, 1])[:, None])
    (found,) = answered("mine", enumerated(), lacking, counted)
    value = 0.25 * 0.97
    assert isinstance(found, Estimate)
    wanted, bound = widened(value, value - 0.1, value + 0.1, 0.03), found.values["correct"]
    assert (bound.value, bound.lo, bound.hi) == pytest.approx((wanted.value, wanted.lo, wanted.hi))


def test_no_candidates_no_answers() -> None:
    assert answered("mine", enumerated(), Target((), np.zeros((5, 0))), counted) == []
