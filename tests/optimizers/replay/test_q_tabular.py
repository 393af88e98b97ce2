"""Shrunken means, by hand: an option, its action, its layer."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.replay.layered import layered
from optimizers.replay.q_tabular import TabularQ
from signatures.errors import UsageError
from tests.worlds.quarters import quarters

LAST = 1
"""The layer of options 3 to 6: done and refine in state 1, then in state 2."""


def smoothed(shrink: float, counts: list[float], sums: list[float]) -> list[float]:
    smooth = TabularQ(shrink).prepare(layered(quarters())).smoother(LAST, np.array(counts))
    found: list[float] = smooth(np.array(sums)[:, None])[:, 0].tolist()
    return found


def test_without_shrinking_each_option_has_its_own_mean() -> None:
    assert smoothed(0.0, [4, 2, 1, 5], [2, 2, 0, 1]) == pytest.approx([0.5, 1.0, 0.0, 0.2])


def test_an_option_never_drawn_gets_its_actions_mean_and_an_action_never_drawn_the_layers() -> None:
    assert smoothed(0.0, [4, 2, 0, 5], [2, 2, 0, 1]) == pytest.approx([0.5, 1.0, 0.5, 0.2])
    assert smoothed(0.0, [0, 2, 0, 6], [0, 2, 0, 2]) == pytest.approx([0.5, 1.0, 0.5, 1 / 3])


def test_the_mean_one_level_up_counts_as_so_many_draws() -> None:
    # layer 6/10; done (2 + .6) / (5 + 1), refine (4 + .6) / (5 + 1); then each option once more
    done, refine = 2.6 / 6, 4.6 / 6
    expected = [(1 + done) / 5, (3 + refine) / 4, (1 + done) / 2, (1 + refine) / 3]
    assert smoothed(1.0, [4, 3, 1, 2], [1, 3, 1, 1]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shrink", [0.0, 1.0])
def test_a_layer_never_reached_expects_nothing(shrink: float) -> None:
    assert smoothed(shrink, [0, 0, 0, 0], [0, 0, 0, 0]) == [0.0] * 4


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="shrink"):
        TabularQ(-1.0)
    with pytest.raises(UsageError, match="shrink"):
        TabularQ(float("nan"))
    assert TabularQ().id == "tabular"
