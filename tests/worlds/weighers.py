"""What every importance-weighted estimator must do on the tiny logs; their tests hand in the estimator."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from optimizers.episode_log import EpisodeLog, Floats, Option, Target
from optimizers.replay import Asked, Estimator, Evidence
from optimizers.replay.estimates import Bound, Estimate, Refusal, require


def answers(estimator: Estimator, log: EpisodeLog, target: Target) -> list[Estimate | Refusal]:
    """What the estimator says of each candidate."""
    return asyncio.run(estimator.estimate(Evidence(log=log), Asked(names=target.names, target=target)))


def bounds(estimator: Estimator, log: EpisodeLog, target: Target) -> list[list[Bound]]:
    """Candidate by candidate, one an objective. Raises NoSupport where one is refused."""
    return [list(require(answer).values.values()) for answer in answers(estimator, log, target)]


def points(estimator: Estimator, log: EpisodeLog, target: Target) -> Floats:
    """`C x M` values."""
    return np.array([[bound.value for bound in row] for row in bounds(estimator, log, target)])


def ends(estimator: Estimator, log: EpisodeLog, target: Target) -> Floats:
    """`C x M x 2`: the ends of the intervals."""
    return np.array([[(b.lo, b.hi) for b in row] for row in bounds(estimator, log, target)], dtype=np.float64)


def one_step(
    weights: Sequence[float], rewards: Sequence[float], propensities: Sequence[float], *, copies: int
) -> tuple[EpisodeLog, Target]:
    """One-step episodes, each with an option and a state of its own, repeated: weight = probability / propensity."""
    n = len(weights)
    drawn_N = np.tile(2 * np.arange(n), copies)
    propensity_N = np.array(propensities)
    chosen_L = np.stack([propensity_N * np.array(weights), 1 - propensity_N * np.array(weights)], axis=1).ravel()
    log = EpisodeLog(
        objectives=("correct",),
        tasks=tuple(f"task{t}" for t in range(4)),
        features=(),
        actions=(Option("done"), Option("continue", "fanout_1")),
        task_N=(np.arange(n * copies) % 4).astype(np.int32),
        option_N_K=drawn_N[:, None].astype(np.int32),
        propensity_N_K=np.tile(propensity_N, copies)[:, None],
        rewards_N_K_M=np.tile(np.array(rewards), copies)[:, None, None],
        state_L=np.repeat(np.arange(n), 2).astype(np.int32),
        action_L=np.tile([0, 1], n).astype(np.int32),
        behaviour_L=np.stack([propensity_N, 1 - propensity_N], axis=1).ravel(),
        features_S_F=np.zeros((n, 0)),
    )
    return log, Target(("c",), chosen_L[:, None])
