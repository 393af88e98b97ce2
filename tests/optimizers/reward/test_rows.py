"""Training rows: whatever the order of episodes they are the same, and whatever makes another model names it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.episode_log import EpisodeLog
from optimizers.reward.rows import LEAST_TASKS, fingerprint_of, training_rows
from signatures.errors import NoSupport
from tests.worlds.lamps import TEXTS, Lamps

LOG = Lamps().log(60, 12, seed=2)


def fingerprint(log: EpisodeLog = LOG, *, text: str = "", version: str = "1", seed: int = 0) -> str:
    texts = {**TEXTS, "none": text}
    return fingerprint_of(training_rows(log, texts), log, texts, version, seed)


def test_there_is_a_row_per_recorded_round() -> None:
    rows = training_rows(LOG, TEXTS)
    assert len(rows.columns_N_D) == len(rows.outcomes_N_M) == (LOG.option_N_K >= 0).sum()
    rounds = (LOG.option_N_K >= 0).sum(axis=1)
    assert rows.outcomes_N_M.sum(axis=0) == pytest.approx(rounds @ LOG.values_N_M), "each row has its episode's value"


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(LOG.n)))
def test_the_order_of_episodes_means_nothing(order: list[int]) -> None:
    assert fingerprint(LOG.take(order)) == fingerprint()


def test_the_order_of_tasks_means_nothing() -> None:
    turned = replace(LOG, tasks=LOG.tasks[::-1], task_N=len(LOG.tasks) - 1 - LOG.task_N)
    assert fingerprint(turned) == fingerprint()


def test_everything_that_makes_another_model_makes_another_fingerprint() -> None:
    other_value = replace(LOG, rewards_N_K_M=np.where(LOG.rewards_N_K_M == 1, 0.5, LOG.rewards_N_K_M))
    found = [
        fingerprint(),
        fingerprint(text="Say nothing."),
        fingerprint(version="2"),
        fingerprint(seed=1),
        fingerprint(other_value),
        fingerprint(LOG.take(np.arange(59))),
        fingerprint(replace(LOG, objectives=("correct", "fast"))),
        fingerprint(replace(LOG, tasks=(*LOG.tasks[:-1], "another"), task_N=(LOG.task_N + 1) % 12)),
    ]
    assert len(set(found)) == len(found)


def test_a_record_of_few_tasks_is_refused() -> None:
    few = LOG.take(LOG.task_N < LEAST_TASKS - 1)
    with pytest.raises(NoSupport, match=f"{LEAST_TASKS} tasks or more; the record holds {LEAST_TASKS - 1}"):
        training_rows(few, TEXTS)
    assert training_rows(LOG.take(LOG.task_N < LEAST_TASKS), TEXTS).task_N.max() == LEAST_TASKS - 1
