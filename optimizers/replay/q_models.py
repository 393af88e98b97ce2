"""Q models: what a candidate's rest of the reward is expected to be, by backward induction over layers.

Q(s, a) is fitted to the reward of the round plus V of the state that followed, and V(s) is the sum over the options of
s of the candidate's probability x Q. A model is a linear smoother: it turns sums of targets per option into
predictions per option. Options are shared by all candidates, and so is the smoother: only the targets differ, so a
layer is solved once for all objectives and candidates. Weights on tasks make folds (0 or 1) and bootstraps (counts).
Source: fitted Q evaluation, Le, Voloshin & Yue 2019, algorithm 1, with finite horizon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from optimizers.episode_log import Floats
from optimizers.replay.layered import Indices, Layered

Smoother = Callable[[Floats], Floats]
"""Sums of targets of each option of a layer, `L x columns` -> predictions of the same shape."""


class Prepared(Protocol):
    """A model that has seen the states and options of a log, but none of its rewards."""

    def smoother(self, layer: int, count_L: Floats) -> Smoother:
        """For options of this layer that were drawn `count_L` times (weighted). Must not fail where all are 0."""


class QModel(Protocol):
    """One family of models. Equal models are equal in all they predict."""

    @property
    def id(self) -> str:
        """`tabular`, `ridge`."""

    def prepare(self, layers: Layered) -> Prepared:
        """Once per log."""


class Tables(NamedTuple):
    """Predictions for C candidates and M objectives, each objective's table contiguous."""

    q_M_L_C: Floats
    v_M_S_C: Floats


@dataclass(frozen=True)
class Transitions:
    """Distinct (option, next state, task) of a log with their number and rewards: all that fitting needs of it."""

    layers: Layered
    task_E: Indices
    option_E: Indices
    pair_E: Indices
    "index into the distinct (option, next state) that are not ends; their number where the episode ended"
    count_E: Floats
    rewards_M_E: Floats
    next_P: Indices
    "the next state of each pair"
    before_L: Indices
    "`L + 1`: the first pair of each option, and their number"

    def fitted(self, model: Prepared, policy_L_C: Floats, weight_T: npt.NDArray[np.generic]) -> Tables:
        """Q and V of the candidates `policy_L_C`, each task's episodes counting `weight_T` times."""
        from scipy.sparse import csr_array

        layers, (L, C), M = self.layers, policy_L_C.shape, len(self.rewards_M_E)
        S, P = len(layers.first_S), len(self.next_P)
        weight_E = weight_T[self.task_E].astype(np.float64)
        count_L: Floats = np.bincount(self.option_E, weight_E * self.count_E, L).astype(np.float64)
        reward_L_M = np.column_stack([np.bincount(self.option_E, weight_E * one, L) for one in self.rewards_M_E])
        count_P = np.bincount(self.pair_E, weight_E * self.count_E, P + 1)[:P]
        follows_L_S = csr_array((count_P, self.next_P, self.before_L), shape=(L, S))
        q_L_MC, v_S_MC = np.zeros((L, M * C)), np.zeros((S, M * C))
        for layer in reversed(range(len(layers.layers))):
            options, states = layers.layers[layer]
            sums_L_MC = follows_L_S[options] @ v_S_MC + np.repeat(reward_L_M[options], C, axis=1)
            q_L_MC[options] = model.smoother(layer, count_L[options])(sums_L_MC)
            expected_L_M_C = q_L_MC[options].reshape(-1, M, C) * policy_L_C[options, None]
            firsts = layers.first_S[states] - options.start
            v_S_MC[states] = np.add.reduceat(expected_L_M_C, firsts, axis=0).reshape(-1, M * C)
        return Tables(_by_objective(q_L_MC, M), _by_objective(v_S_MC, M))


def transitions(layers: Layered) -> Transitions:
    """What happened in the log's rounds, counted."""
    live_N_K = layers.option_N_K >= 0
    next_N_K = np.full(live_N_K.shape, -1, np.int64)
    next_N_K[:, :-1] = layers.state_N_K[:, 1:]
    T, S = len(layers.tasks), len(layers.first_S)
    task_N = np.repeat(np.arange(T), np.diff(layers.start_T))
    task_N_K = np.broadcast_to(task_N[:, None], live_N_K.shape)
    # ends count as the state S: behind all others, so that the pairs of an option are neighbours
    after_N_K = np.where(next_N_K < 0, S, next_N_K)
    keys = ((layers.option_N_K.astype(np.int64) * (S + 1) + after_N_K) * T + task_N_K)[live_N_K]
    key_E, event, count_E = np.unique(keys, return_inverse=True, return_counts=True)
    rewards_M_E = [np.bincount(event, one[live_N_K], len(key_E)) for one in layers.rewards_M_N_K]
    option_E, after_E = key_E // T // (S + 1), key_E // T % (S + 1)
    goes_on_E = after_E < S
    key_P, place = np.unique((key_E // T)[goes_on_E], return_inverse=True)
    pair_E = np.full(len(key_E), len(key_P))
    pair_E[goes_on_E] = place
    return Transitions(
        layers=layers,
        task_E=key_E % T,
        option_E=option_E,
        pair_E=pair_E,
        count_E=count_E.astype(np.float64),
        rewards_M_E=np.array(rewards_M_E),
        next_P=key_P % (S + 1),
        before_L=np.searchsorted(key_P // (S + 1), np.arange(len(layers.state_L) + 1)),
    )


def _by_objective(table_X_MC: Floats, M: int) -> Floats:
    X = len(table_X_MC)
    return np.ascontiguousarray(table_X_MC.reshape(X, M, -1).transpose(1, 0, 2))
