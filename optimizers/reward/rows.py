"""Training rows of the reward model: one per recorded round, in an order of their own, named by their content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from optimizers.episode_log import EpisodeLog, Floats, Integers
from optimizers.reward.features import Encoder, encoder_of, states_of, vocabulary_of
from optimizers.reward.learners import FOLDS, SETTINGS
from signatures.digest import digest_bytes, digest_of
from signatures.errors import NoSupport

LEAST_TASKS: Final = FOLDS
"""Tasks below which not every prediction could be held against a task that its model has not seen."""


@dataclass(frozen=True)
class TrainingRows:
    """Rows sorted by task and content, so that the order of episodes means nothing; N are rounds here."""

    encoder: Encoder
    columns_N_D: Floats
    outcomes_N_M: Floats
    "the scaled value of the round's episode, by objective"
    task_N: Integers
    "rank of the task's digest"
    action_N: Integers
    "index into the log's actions"

    @cached_property
    def digest(self) -> str:
        """Names the rows by their content."""
        parts = (self.columns_N_D, self.outcomes_N_M, self.task_N)
        return digest_bytes(b"".join(np.ascontiguousarray(part).tobytes() for part in parts))


def training_rows(log: EpisodeLog, texts: Mapping[str, str]) -> TrainingRows:
    """One row per recorded round. Raises NoSupport below `LEAST_TASKS` tasks."""
    tasks = len(np.unique(log.task_N))
    if tasks < LEAST_TASKS:
        raise NoSupport(f"a reward model is trained on {LEAST_TASKS} tasks or more; the record holds {tasks}")
    episode_N, round_N = np.nonzero(log.option_N_K >= 0)
    option_N = log.option_N_K[episode_N, round_N]
    states = states_of(log, vocabulary_of(log), texts)
    table_N_D = states.table(log.state_L[option_N], round_N.astype(np.int32), log.action_L[option_N])
    encoder = encoder_of(states.vocabulary, table_N_D)
    columns_N_D, outcomes_N_M = encoder.rows(table_N_D), log.values_N_M[episode_N]
    rank_T = np.argsort(np.argsort(np.array(log.tasks, dtype=object))).astype(np.int32)
    task_N = rank_T[log.task_N[episode_N]]
    order_N = np.lexsort([*outcomes_N_M.T, *columns_N_D.T, task_N])
    return TrainingRows(
        encoder,
        columns_N_D[order_N],
        outcomes_N_M[order_N],
        task_N[order_N],
        log.action_L[option_N][order_N],
    )


def fingerprint_of(rows: TrainingRows, log: EpisodeLog, texts: Mapping[str, str], version: str, seed: int) -> str:
    """Names the model that these rows make: libraries, settings, columns, objectives, texts, version, seed, rows."""
    import sklearn

    libraries = [sklearn.__version__, np.__version__]
    read = [rows.encoder.columns, log.objectives, dict(texts)]
    return digest_of("reward model", libraries, SETTINGS, read, version, seed, rows.digest)
