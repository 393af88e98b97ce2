"""Logs of one round an episode, from features and outcomes that a test chooses: every episode has its own state."""

from __future__ import annotations

import numpy as np

from optimizers.episode_log import EpisodeLog, Floats, Option

OPTIONS = (Option("done"), Option("continue", "fanout_1"))


def single(features_N_F: Floats, outcome_N: Floats, *, tasks: int, drawn: int = 0) -> EpisodeLog:
    """Episode n belongs to task n modulo `tasks`; both options are legal and `drawn` is what was drawn."""
    n, names = features_N_F.shape
    places = np.arange(n, dtype=np.int32)
    return EpisodeLog(
        objectives=("correct",),
        tasks=tuple(f"task{number:04}" for number in range(tasks)),
        features=tuple(f"x{number}" for number in range(names)),
        actions=OPTIONS,
        task_N=places % np.int32(tasks),
        option_N_K=(2 * places + np.int32(drawn))[:, None],
        propensity_N_K=np.full((n, 1), 0.5),
        rewards_N_K_M=outcome_N[:, None, None],
        state_L=np.repeat(places, 2),
        action_L=np.tile(np.arange(2, dtype=np.int32), n),
        behaviour_L=np.full(2 * n, 0.5),
        features_S_F=features_N_F,
    )
