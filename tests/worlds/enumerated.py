"""Tiny logs for the weighing estimators: one in which every trajectory has exactly its frequency, and random ones."""

from __future__ import annotations

import numpy as np

from optimizers.episode_log import EpisodeLog, Floats, Option, Target

BEHAVIOUR_L: Floats = np.array([0.25, 0.75, 0.5, 0.25, 0.25])
"""The first state: end at once, or go on to the second state, with three options."""
TRAJECTORIES = ((0, -1, 4), (1, 2, 6), (1, 3, 3), (1, 4, 3))
"""Options drawn, and of 16 episodes how many draw them."""
REWARDS = {
    0: ((0.3, 1.0), (0.0, 0.0)),
    2: ((0.1, -0.2), (0.9, 0.7)),
    3: ((0.1, -0.2), (-0.1, 0.3)),
    4: ((0.1, -0.2), (0.4, 0.2)),
}
"""By last option: two objectives in each of two rounds."""
ACTIONS = (
    Option("done"),
    Option("continue", "fanout_1"),
    Option("done"),
    Option("continue", "refine_last", "undo"),
    Option("continue", "refine_last", "look"),
)


def enumerated(*, copies: int = 20, tasks: int = 10) -> EpisodeLog:
    """16 x copies episodes, each trajectory in exact proportion, dealt to the tasks in turn."""
    rows = [(first, second) for first, second, times in TRAJECTORIES for _ in range(times)] * copies
    option_N_K = np.array(rows, dtype=np.int32)
    last_N = np.where(option_N_K[:, 1] < 0, option_N_K[:, 0], option_N_K[:, 1])
    return EpisodeLog(
        objectives=("correct", "cheap"),
        tasks=tuple(f"task{t}" for t in range(tasks)),
        features=("round",),
        actions=ACTIONS,
        task_N=(np.arange(len(rows)) * 7 % tasks).astype(np.int32),
        option_N_K=option_N_K,
        propensity_N_K=np.where(option_N_K < 0, 1.0, BEHAVIOUR_L[option_N_K]),
        rewards_N_K_M=np.array([REWARDS[int(last)] for last in last_N]),
        state_L=np.array([0, 0, 1, 1, 1], dtype=np.int32),
        action_L=np.arange(5, dtype=np.int32),
        behaviour_L=BEHAVIOUR_L,
        features_S_F=np.array([[0.0], [1.0]]),
    )


def policies(seed: int, C: int = 5) -> Target:
    """C random candidates of that world, half of the time the behaviour: an effective sample of a third at least."""
    draw = np.random.default_rng(seed)
    first, second = draw.dirichlet((1, 1), size=C), draw.dirichlet((1, 1, 1), size=C)
    drawn_L_C = np.concatenate([first, second], axis=1).T
    return Target(tuple(f"c{c}" for c in range(C)), (drawn_L_C + BEHAVIOUR_L[:, None]) / 2)


def truth_C_M(target: Target) -> Floats:
    """What the candidates are worth there, by enumeration."""
    p_L_C = target.probability_L_C
    chance = {0: p_L_C[0], **{last: p_L_C[1] * p_L_C[last] for last in (2, 3, 4)}}
    total: Floats = sum(np.outer(chance[last], np.sum(rewards, axis=0)) for last, rewards in REWARDS.items())
    return total


def noisy(seed: int, *, n: int = 400, tasks: int = 12) -> EpisodeLog:
    """The same behaviour, with frequencies and rewards left to chance."""
    draw = np.random.default_rng(seed)
    whole = enumerated(copies=20, tasks=tasks)
    log = whole.take(draw.integers(0, whole.n, size=n))
    rewards_N_K_M = np.where((log.option_N_K >= 0)[:, :, None], draw.uniform(0, 0.5, log.rewards_N_K_M.shape), 0.0)
    task_N = draw.integers(0, tasks, size=n).astype(np.int32)
    return EpisodeLog(**{**vars(log), "rewards_N_K_M": rewards_N_K_M, "task_N": task_N})
