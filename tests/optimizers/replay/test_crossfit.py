"""Folds by task: every task once, and never read with a model that has seen it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizers.replay.crossfit import folds
from optimizers.replay.layered import layered
from optimizers.replay.q_models import transitions
from optimizers.replay.q_tabular import TabularQ
from tests.worlds.quarters import CANDIDATES_L_C, quarters


@pytest.mark.parametrize(("tasks", "count"), [(16, 5), (5, 5), (3, 5), (1, 5), (16, 2)])
def test_each_task_is_in_one_fold_and_folds_are_even(tasks: int, count: int) -> None:
    layers = layered(quarters(tasks=tasks))
    found = list(folds(transitions(layers), TabularQ().prepare(layers), CANDIDATES_L_C, count=count))
    sizes = [fold.tasks.stop - fold.tasks.start for fold in found]
    assert len(found) == min(count, tasks) and sum(sizes) == tasks and max(sizes) - min(sizes) <= 1
    assert [fold.tasks.start for fold in found[1:]] == [fold.tasks.stop for fold in found[:-1]]
    assert sum(len(fold.logged_M[0].option_N_K) for fold in found) == 256
    for fold in found:
        assert fold.logged_M[0].start_T[0] == 0
        assert fold.logged_M[0].start_T[-1] == len(fold.logged_M[0].option_N_K)


def test_a_fold_is_not_in_its_own_model() -> None:
    log = quarters(tasks=6)
    layers = layered(log)
    original = list(folds(transitions(layers), TabularQ().prepare(layers), CANDIDATES_L_C, count=3))
    # change all rewards of the tasks of the second fold: its own models stay, those of the others move
    held = [log.tasks.index(task) for task in layers.tasks[original[1].tasks]]
    rewards_N_K_M = np.where(np.isin(log.task_N, held)[:, None, None], 0.0, log.rewards_N_K_M)
    changed_layers = layered(replace(log, rewards_N_K_M=rewards_N_K_M))
    seen = transitions(changed_layers)
    changed = list(folds(seen, TabularQ().prepare(changed_layers), CANDIDATES_L_C, count=3))
    same = [np.array_equal(a.models_M[0].q_L_C, b.models_M[0].q_L_C) for a, b in zip(original, changed, strict=True)]
    assert same == [False, True, False]


def test_with_one_task_models_expect_nothing() -> None:
    layers = layered(quarters(tasks=1))
    (only,) = folds(transitions(layers), TabularQ().prepare(layers), CANDIDATES_L_C)
    assert not only.models_M[0].q_L_C.any() and not only.models_M[1].v_S_C.any()
