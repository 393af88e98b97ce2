"""A two-round world in which every episode occurs exactly as often as it is likely, so that means are expectations.

State 0 offers one attempt, two, or none (the episode ends); either way an attempt leads to state 1 or 2, where one may
stop or refine. What chance decides is in quarters. `correct` is 0 or 1 at the end; `cheap` starts at 1 and pays as it
goes. Unlike in `enumerated.py`, what follows an option is chance, and a model of it can be right or wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from optimizers.episode_log import EpisodeLog, Floats, Option, Target
from optimizers.replay.estimates import Bound
from optimizers.replay.layered import Layered
from optimizers.replay.q_models import Smoother

ACTIONS = (
    Option(None, "fanout_1"),
    Option(None, "fanout_2"),
    Option(None, "none"),
    Option("done"),
    Option("continue", "refine_last", "undo"),
)
STATE_L = np.array([0, 0, 0, 1, 1, 2, 2], np.int32)
ACTION_L = np.array([0, 1, 2, 3, 4, 3, 4], np.int32)
BEHAVIOUR_L = np.array([0.25, 0.5, 0.25, 0.25, 0.75, 0.5, 0.5])
NEXT_L_S = np.array([[0.75, 0.25], [0.25, 0.75]])
"""From the first two options to states 1 and 2."""
PASS_L = np.array([0.0, 0.0, 0.25, 0.25, 0.5, 0.75, 0.5])
"""Chance that the episode which ends with this option is correct."""
COST_L = np.array([0.25, 0.5, 0.0, 0.0, 0.375, 0.0, 0.375])
_STOPS_L = [0.1, 0.6, 0.3, 0.7, 0.3, 0.9, 0.1]
_REFINES_L = [0.5, 0.25, 0.25, 0.4, 0.6, 0.2, 0.8]
CANDIDATES_L_C = np.column_stack([BEHAVIOUR_L, _STOPS_L, _REFINES_L])
"""The behaviour itself, and two others."""


def target() -> Target:
    return Target(("same", "stops", "refines"), CANDIDATES_L_C)


def truth_q_M_L_C(policy_L_C: Floats = CANDIDATES_L_C) -> Floats:
    """Expected rest of the reward after each option, by hand: the last round, then the first."""
    q_M_L_C: Floats = np.repeat(np.stack([PASS_L, -COST_L])[:, :, None], policy_L_C.shape[1], axis=2)
    q_M_L_C[1, :3] += 1.0
    v_M_S_C = truth_v_M_S_C(policy_L_C, q_M_L_C)
    q_M_L_C[:, :2] += np.einsum("ls,msc->mlc", NEXT_L_S, v_M_S_C[:, 1:])
    return q_M_L_C


def truth_v_M_S_C(policy_L_C: Floats, q_M_L_C: Floats) -> Floats:
    found: Floats = np.add.reduceat(q_M_L_C * policy_L_C, [0, 3, 5], axis=1)
    return found


def truth_M_C() -> Floats:
    """The candidates' values."""
    return truth_v_M_S_C(CANDIDATES_L_C, truth_q_M_L_C())[:, 0]


def quarters(*, tasks: int = 16, seed: int = 0, copies: int = 1) -> EpisodeLog:
    """Every episode 256 x copies times its probability, dealt to tasks at random."""
    episodes = [one for one, times in _episodes() for _ in range(times * copies)]
    N = len(episodes)
    option_N_K = np.array([options for options, _ in episodes], np.int32)
    live_N_K = option_N_K >= 0
    rewards_N_K_M = np.zeros((N, 2, 2))
    rewards_N_K_M[:, 0, 1] = 1.0
    rewards_N_K_M[:, :, 1] -= np.where(live_N_K, COST_L[option_N_K], 0.0)
    rewards_N_K_M[np.arange(N), live_N_K.sum(axis=1) - 1, 0] = [passed for _, passed in episodes]
    return EpisodeLog(
        objectives=("correct", "cheap"),
        tasks=tuple(f"task {t}" for t in range(tasks)),
        features=("attempts", "failing"),
        actions=ACTIONS,
        task_N=(np.random.default_rng(seed).permutation(N) % tasks).astype(np.int32),
        option_N_K=option_N_K,
        propensity_N_K=np.where(live_N_K, BEHAVIOUR_L[option_N_K], 1.0),
        rewards_N_K_M=rewards_N_K_M,
        state_L=STATE_L,
        action_L=ACTION_L,
        behaviour_L=BEHAVIOUR_L,
        features_S_F=np.array([[0.0, np.nan], [1.0, 3.0], [1.0, 1.0]]),
    )


def sampled(seed: int, *, n: int = 400, tasks: int = 40) -> EpisodeLog:
    """The same world, with frequencies left to chance."""
    whole, draw = quarters(tasks=tasks), np.random.default_rng(seed)
    task_N = (np.arange(n) % tasks).astype(np.int32)
    return replace(whole.take(draw.integers(0, whole.n, n)), task_N=task_N)


def covered(bounds: Sequence[Bound], truths: Floats) -> list[bool]:
    """Whether each interval holds its truth."""
    found = []
    for bound, truth in zip(bounds, truths, strict=True):
        assert bound.lo is not None and bound.hi is not None
        found.append(bool(bound.lo <= truth <= bound.hi))
    return found


@dataclass(frozen=True)
class GivenQ:
    """A Q model that was not fitted: one number per option, whatever the log or the candidate."""

    q_L: tuple[float, ...]
    id: str = "given"

    def prepare(self, layers: Layered) -> GivenQ:
        return GivenQ(tuple(np.array(self.q_L)[layers.origin_L]))

    def smoother(self, layer: int, count_L: Floats) -> Smoother:
        # the quarters have two layers, and option 3 is the first of the second
        q_L_1 = np.array(self.q_L[:3] if layer == 0 else self.q_L[3:])[:, None]
        assert len(q_L_1) == len(count_L)
        return lambda sums_L_X: np.repeat(q_L_1, sums_L_X.shape[1], axis=1)


def _episodes() -> Iterator[tuple[tuple[tuple[int, int], bool], int]]:
    """Each possible episode (its options, whether it passed) and 256 times its probability."""
    for passed in (False, True):
        chance = PASS_L[2] if passed else 1 - PASS_L[2]
        yield ((2, -1), passed), round(256 * BEHAVIOUR_L[2] * chance)
    for first, state, second, passed in product((0, 1), (0, 1), (0, 1), (False, True)):
        last = 3 + 2 * state + second
        chance = PASS_L[last] if passed else 1 - PASS_L[last]
        times = 256 * BEHAVIOUR_L[first] * NEXT_L_S[first, state] * BEHAVIOUR_L[last] * chance
        assert times == round(times), "the world is no longer in quarters"
        yield ((first, last), passed), round(times)
