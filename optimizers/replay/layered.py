"""A log as backward induction reads it: states in layers, each of them reached from earlier layers only.

Where no state can come back (attempts left are among the features, as a rule), a state's layer is the length of the
longest recorded path to it, and the state is one whatever the round. Where states do come back, each is split by the
round it was seen in, and the layer is the round. Tasks are in an order that depends on their digests alone, so that
permuting episodes changes nothing, and neighbours in that order can serve as folds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from optimizers.episode_log import EpisodeLog, Floats, Integers, Target
from optimizers.replay.rows import usable
from signatures.digest import seed_of
from signatures.errors import UsageError

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Layered:
    """Usable episodes of the T tasks that have any; states and options sorted by layer, a state's options neighbours.

    S and L count the states that were visited and their options.
    """

    tasks: tuple[str, ...]
    "digests, in the order of `start_T`"
    start_T: Indices
    "`T + 1`: the first episode of each task, and N"
    state_N_K: Integers
    "-1 after the end"
    option_N_K: Integers
    "-1 after the end"
    inverse_N_K: Floats
    "1 / recorded propensity; 1 after the end"
    rewards_M_N_K: Floats
    origin_L: Indices
    "the same option in the log"
    state_L: Integers
    action_L: Integers
    recorded_L: Mask
    "whether the behaviour could ever draw it"
    first_S: Indices
    "the first option of each state"
    features_S_F: Floats
    layers: tuple[tuple[slice, slice], ...]
    "the options and the states of each layer"

    @property
    def n(self) -> int:
        """Episodes."""
        return int(self.start_T[-1])


def layered(log: EpisodeLog) -> Layered:
    """The log in layers, without episodes that lack a propensity.

    Raises UsageError where no round is left, and on rewards after the end of an episode.
    """
    kept = np.flatnonzero(usable(log).all(axis=1))
    by_digest = np.argsort([seed_of("task", task) for task in log.tasks])
    rank_T = np.argsort(by_digest)
    order_N = kept[np.argsort(rank_T[log.task_N[kept]], kind="stable")]
    option_N_K, rewards_N_K_M, task_N = log.option_N_K[order_N], log.rewards_N_K_M[order_N], log.task_N[order_N]
    live_N_K = option_N_K >= 0
    if not live_N_K.any():
        raise UsageError("no episode of the log has a round whose propensity is known")
    if rewards_N_K_M[~live_N_K].any():
        raise UsageError("a reward after the end of an episode belongs to its last round")
    starts = np.flatnonzero(np.diff(task_N, prepend=-1))
    visited, layer_S, state_N_K = _visited(np.where(live_N_K, log.state_L[option_N_K], -1))
    options_before = np.searchsorted(log.state_L, visited, side="left")
    options_S = np.searchsorted(log.state_L, visited, side="right") - options_before
    first_S = np.cumsum(options_S) - options_S
    state_L = np.repeat(np.arange(len(visited)), options_S)
    origin_L = (options_before - first_S)[state_L] + np.arange(len(state_L))
    moved_N_K = np.where(live_N_K, option_N_K + (first_S - options_before)[state_N_K], -1)
    return Layered(
        tasks=tuple(log.tasks[task] for task in task_N[starts]),
        start_T=np.append(starts, len(task_N)).astype(np.int64),
        state_N_K=state_N_K.astype(np.int32),
        option_N_K=np.ascontiguousarray(moved_N_K, np.int32),
        inverse_N_K=np.ascontiguousarray(1.0 / np.where(live_N_K, log.propensity_N_K[order_N], 1.0)),
        rewards_M_N_K=np.ascontiguousarray(np.moveaxis(rewards_N_K_M, 2, 0)),
        origin_L=origin_L,
        state_L=state_L.astype(np.int32),
        action_L=log.action_L[origin_L],
        recorded_L=log.behaviour_L[origin_L] > 0,
        first_S=first_S,
        features_S_F=log.features_S_F[visited],
        layers=_slices(layer_S, np.append(first_S, len(state_L))),
    )


def restricted(layers: Layered, target: Target, chosen: slice | Indices) -> Floats:
    """The chosen candidates kept to what was recorded, `L x C`: options that never could be drawn are taken out and
    the rest of the state scaled to 1. Zero where a candidate does nothing that was recorded."""
    probability_L_C = target.probability_L_C[:, chosen][layers.origin_L]
    policy_L_C: Floats = np.where(layers.recorded_L[:, None], probability_L_C, 0.0)
    total_S_C = np.add.reduceat(policy_L_C, layers.first_S, axis=0)
    policy_L_C /= np.where(total_S_C > 0, total_S_C, 1.0)[layers.state_L]
    return policy_L_C


def _visited(state_N_K: Indices) -> tuple[Indices, Indices, Indices]:
    """The log's state and the layer of each state of the layered log, and the latter's index in each round."""
    live_N_K = state_N_K >= 0
    depth_S = _depths(state_N_K)
    round_N_K = np.broadcast_to(np.arange(state_N_K.shape[1]), state_N_K.shape)
    layer_N_K = round_N_K if depth_S is None else depth_S[state_N_K]
    width = int(state_N_K.max()) + 1
    keys, place = np.unique((layer_N_K * width + state_N_K)[live_N_K], return_inverse=True)
    index_N_K = np.full(state_N_K.shape, -1)
    index_N_K[live_N_K] = place
    return keys % width, keys // width, index_N_K


def _depths(state_N_K: Indices) -> Indices | None:
    """The longest recorded path to each state, in rounds; None where a path leads back to its state."""
    before, after = state_N_K[:, :-1].ravel(), state_N_K[:, 1:].ravel()
    edges = np.unique(np.column_stack([before, after])[after >= 0], axis=0)
    depth_S = np.zeros(int(state_N_K.max()) + 1, np.int64)
    for _ in depth_S:
        deeper_S = depth_S.copy()
        np.maximum.at(deeper_S, edges[:, 1], depth_S[edges[:, 0]] + 1)
        if (deeper_S == depth_S).all():
            return depth_S
        depth_S = deeper_S
    return None


def _slices(layer_S: Indices, option_bounds: Indices) -> tuple[tuple[slice, slice], ...]:
    """Options and states of each layer that has any; `option_bounds` are the first option of each state, and L."""
    cuts = [*np.flatnonzero(np.diff(layer_S, prepend=-1)).tolist(), len(layer_S)]
    return tuple((slice(int(option_bounds[a]), int(option_bounds[b])), slice(a, b)) for a, b in pairwise(cuts))
