"""Cross-fitting by task: each fold's episodes are read with Q models that were fitted on the other folds only.

Without it a model remembers the very rewards it is to predict, and residuals are too small.
Source: Chernozhukov et al. 2018, definition 3.1; for off-policy evaluation Kallus & Uehara 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from optimizers.episode_log import Floats
from optimizers.replay.kernels_dr import Logged, Models
from optimizers.replay.layered import Layered
from optimizers.replay.q_models import Prepared, Tables, Transitions

FOLDS: Final = 5


class Fold(NamedTuple):
    """Some tasks with the models that have not seen them."""

    tasks: slice
    logged_M: tuple[Logged, ...]
    "their episodes, with the rewards of each objective"
    models_M: tuple[Models, ...]


def folds(seen: Transitions, model: Prepared, policy_L_C: Floats, *, count: int = FOLDS) -> Iterator[Fold]:
    """The tasks in `count` folds of equal size, each with models of the candidates `policy_L_C`.

    Which tasks share a fold depends on their digests alone. With fewer tasks than folds each task is a fold; with one
    task nothing is left to fit on, and models predict 0.
    """
    T = len(seen.layers.tasks)
    bounds = np.linspace(0, T, min(count, T) + 1).round().astype(int).tolist()
    for a, b in pairwise(bounds):
        others_T = np.ones(T)
        others_T[a:b] = 0.0
        tables = seen.fitted(model, policy_L_C, others_T)
        yield Fold(slice(a, b), _logged(seen.layers, a, b), models_of(seen.layers, policy_L_C, tables))


def models_of(layers: Layered, policy_L_C: Floats, tables: Tables) -> tuple[Models, ...]:
    """The kernels' tables of each objective."""
    policy = np.ascontiguousarray(policy_L_C)
    return tuple(
        Models(layers.state_L, policy, q_L_C, v_S_C)
        for q_L_C, v_S_C in zip(tables.q_M_L_C, tables.v_M_S_C, strict=True)
    )


def _logged(layers: Layered, a: int, b: int) -> tuple[Logged, ...]:
    rows, start_T = slice(layers.start_T[a], layers.start_T[b]), layers.start_T[a : b + 1] - layers.start_T[a]
    return tuple(
        Logged(layers.option_N_K[rows], layers.inverse_N_K[rows], rewards_N_K[rows], start_T)
        for rewards_N_K in layers.rewards_M_N_K
    )
