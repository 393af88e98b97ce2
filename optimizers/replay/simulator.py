"""Short-horizon controller worlds whose true values are known, to test estimators on.

An episode has K attempts to spend on a task of hidden difficulty. Each round draws one option: stop, one or two fresh
attempts, or go on from the last under one of a few steers. What is reached is one of Z latent levels, of which a policy
sees a coarser look. All of it is tables, so that the value of a policy follows exactly by dynamic programming.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from optimizers.episode_log import EpisodeLog, Floats, Option, Target
from signatures.errors import UsageError

OBJECTIVES: Final = ("correct", "fast", "secure", "cheap", "clean")
FEATURES: Final = ("attempts_left", "failing")
UNSEEN: Final = Option("continue", "refine_last", "unseen")
"""The option that no recorded behaviour ever draws, in worlds with `unseen > 0`."""

_CENTRE: Final = 0.47
"""Chance of success of the middle level of an average task."""
_HIGHEST: Final = 0.98
"""Highest chance of success, at the best level of an easy task."""
_DIFFICULTY: Final = (0.3, 0.4, 0.3)
"""Shares of hard, average and easy tasks."""
_POOL: Final = 20
"""Policies drawn for each candidate that is kept."""
_COSTS: Final = (0.1, 0.44)
"""Range of what an attempt costs on average, as a share of the most that it can."""

_Table = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WorldConfig:
    """What makes estimation easy or hard. Every share and probability is on [0, 1]."""

    rounds: int = 4
    "K: attempts that an episode may spend, at least 2"
    candidates: int = 10
    steers: int = 2
    overlap: float = 0.67
    "share of the behaviour in the candidates: 1 is on-policy, 0 are policies of their own, every second deterministic"
    spread: float = 0.32
    "range of the candidates' true `correct` that is aimed at; it is less where the levels cannot give so much"
    noise: float = 1.0
    "0: an episode yields its expected values; 1: `correct` is 0 or 1 and costs scatter"
    looks: int = 3
    "levels that a policy can tell apart"
    aliasing: int = 1
    "latent levels that look the same"
    propensity_error: float = 0.0
    "standard deviation of the log of recorded over true probability"
    unseen: float = 0.0
    "each round, the candidates' probability of the option `UNSEEN`, which the behaviour never draws"
    lost: float = 0.0
    "share of episodes without an outcome: counted in `left_out`, not in the log"
    difficulty: float = 0.15
    "how far hard and easy tasks lie from the average, as a share; it never shows"
    episodes_per_task: int = 10
    floor: float = 0.1
    "least probability of an option that the behaviour has"

    def __post_init__(self) -> None:
        counts = (self.candidates, self.steers, self.aliasing, self.episodes_per_task)
        if self.rounds < 2 or self.looks < 2 or min(counts) < 1:
            raise UsageError("a world has at least 2 rounds, 2 looks, and 1 of all else")
        shares = (self.overlap, self.spread, self.noise, self.unseen, self.lost, 2 * self.difficulty)
        if min(shares) < 0 or max(shares) > 1 or self.lost == 1 or self.propensity_error < 0:
            raise UsageError("a share lies on [0, 1]: difficulty is at most a half, and not all episodes are lost")
        if not 0 <= self.floor * (self.steers + 3) < 1:
            raise UsageError(f"a floor of {self.floor} leaves nothing for {self.steers + 3} options")


class World:
    """One world drawn from a design. Equal config and seed give the same world."""

    def __init__(self, config: WorldConfig, seed: int) -> None:
        rng = np.random.default_rng([seed, 0x71])
        self.config = config
        self.actions = _actions(config)
        self._attempts_A = np.array([_attempts(option) for option in self.actions])
        self._legal_S_A = self._legal()
        levels = config.looks * config.aliasing
        self._look_Z = np.arange(levels) // config.aliasing
        self._next_A_Z_Z = np.stack([_transitions(option, levels, config.aliasing, rng) for option in self.actions])
        self._fresh(rng)
        self._cost_A_O = rng.uniform(*_COSTS, (len(self.actions), len(OBJECTIVES) - 1))
        self._behaviour_S_A = self._drawn_behaviour(rng)
        self._recorded_S_A = self._misrecorded(rng)
        self._candidate_S_A_C = self._drawn_candidates(rng)
        self._correct_Z = self._levels(rng)
        self.truth_C_M: Floats = self._values(self._candidate_S_A_C, self._correct_Z)
        "the candidates' expected values over tasks and episodes, `C x M`, by dynamic programming"
        self.names = tuple(f"c{number:02}" for number in range(config.candidates))

    @property
    def states(self) -> int:
        """S: the start, and each look with each number of attempts left."""
        return 1 + (self.config.rounds - 1) * self.config.looks

    def target(self) -> Target:
        """The candidates as probabilities of options."""
        return Target(self.names, self._candidate_S_A_C[self._legal_S_A], unknown=((),) * self.config.candidates)

    def log(self, n: int, seed: int, *, under: int | None = None) -> EpisodeLog:
        """`n` episodes, drawn and recorded under the behaviour, or (`under`) under that candidate.

        Tasks are drawn anew for each log, so that a truth is about tasks at large. With `lost`, fewer than `n` remain.
        """
        rng = np.random.default_rng([seed, 0x10])
        chosen_S_A = self._behaviour_S_A if under is None else self._candidate_S_A_C[:, :, under]
        recorded_S_A = self._recorded_S_A if under is None else chosen_S_A
        tasks = -(-n // self.config.episodes_per_task)
        task_N = (np.arange(n) // self.config.episodes_per_task).astype(np.int32)
        width = self.config.difficulty
        ease_T = rng.choice([1 - width, 1.0, 1 + width], tasks, p=_DIFFICULTY)
        state_N_K, action_N_K, rewards_N_K_M = self._episodes(chosen_S_A, ease_T[task_N], rng)
        option_S_A = np.full(self._legal_S_A.shape, -1)
        option_S_A[self._legal_S_A] = np.arange(self._legal_S_A.sum())
        taken_N_K = action_N_K >= 0
        state_L, action_L = np.nonzero(self._legal_S_A)
        log = EpisodeLog(
            objectives=OBJECTIVES,
            tasks=tuple(f"task-{number:05}" for number in range(tasks)),
            features=FEATURES,
            actions=self.actions,
            task_N=task_N,
            option_N_K=np.where(taken_N_K, option_S_A[state_N_K, action_N_K], -1).astype(np.int32),
            propensity_N_K=np.where(taken_N_K, recorded_S_A[state_N_K, action_N_K], 1.0),
            rewards_N_K_M=rewards_N_K_M,
            state_L=state_L.astype(np.int32),
            action_L=action_L.astype(np.int32),
            behaviour_L=recorded_S_A[self._legal_S_A],
            features_S_F=self._features(),
        )
        return self._without_lost(log, rng)

    def _legal(self) -> npt.NDArray[np.bool_]:
        starts_A = np.array([option.stop is None for option in self.actions])
        fits_S_A = self._attempts_A <= self._left_S()[:, None]
        legal_S_A: npt.NDArray[np.bool_] = fits_S_A & ~starts_A
        legal_S_A[0] = fits_S_A[0] & starts_A
        return legal_S_A

    def _left_S(self) -> npt.NDArray[np.int64]:
        later = np.repeat(np.arange(self.config.rounds - 1, 0, -1), self.config.looks)
        return np.concatenate([[self.config.rounds], later])

    def _features(self) -> Floats:
        """Attempts left, and failing checks: fewer at a higher level, not observed before the first attempt."""
        failing = np.tile(np.arange(self.config.looks)[::-1], self.config.rounds - 1)
        return np.column_stack([self._left_S(), np.concatenate([[np.nan], failing])])

    def _state(self, left: int, look: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The state seen with `left` attempts left, look by look; the start sees no look."""
        if left == self.config.rounds:
            return np.zeros_like(look)
        return 1 + (self.config.rounds - 1 - left) * self.config.looks + look

    def _fresh(self, rng: np.random.Generator) -> None:
        """Fresh attempts draw a level each from one distribution, and the best so far is kept."""
        levels = self._next_A_Z_Z.shape[1]
        below_Z = np.cumsum(rng.dirichlet(np.linspace(3.0, 1.0, levels)))
        for action, option in enumerate(self.actions):
            if option.topology is not None and option.topology.startswith("fanout"):
                reached_Z = np.diff(below_Z ** _attempts(option), prepend=0.0)
                for held in range(levels):
                    kept_Z = np.where(np.arange(levels) > held, reached_Z, 0.0)
                    kept_Z[held] = reached_Z[: held + 1].sum()
                    self._next_A_Z_Z[action, held] = reached_Z if option.stop is None else kept_Z

    def _drawn_behaviour(self, rng: np.random.Generator) -> _Table:
        """Random tables above the floor; stopping is less likely than the rest, or episodes would be short."""
        known_S_A = self._legal_S_A & np.array([option != UNSEEN for option in self.actions])
        liking_A = np.array([0.5 if option.stop == "done" else 1.0 for option in self.actions])
        shares_S_A = np.where(known_S_A, liking_A * rng.gamma(6.0, size=known_S_A.shape), 0.0)
        shares_S_A /= shares_S_A.sum(axis=1, keepdims=True)
        free_S_1 = 1 - self.config.floor * known_S_A.sum(axis=1, keepdims=True)
        return np.where(known_S_A, self.config.floor + free_S_1 * shares_S_A, 0.0)

    def _misrecorded(self, rng: np.random.Generator) -> _Table:
        error_S_A = np.exp(self.config.propensity_error * rng.normal(size=self._behaviour_S_A.shape))
        wrong_S_A = self._behaviour_S_A * error_S_A
        table: _Table = wrong_S_A / wrong_S_A.sum(axis=1, keepdims=True)
        return table

    def _drawn_candidates(self, rng: np.random.Generator) -> _Table:
        """Each likes some options everywhere and more or less so by state; mixed with the behaviour by `overlap`."""
        S, A = self._legal_S_A.shape
        config = self.config
        C = _POOL * config.candidates
        liking_S_A_C = 2.0 * rng.normal(size=(1, A, C)) + rng.normal(size=(S, A, C))
        known_S_A = self._behaviour_S_A > 0
        own_S_A_C = np.where(known_S_A[:, :, None], np.exp(liking_S_A_C), 0.0)
        own_S_A_C[:, :, ::2] = own_S_A_C[:, :, ::2] == own_S_A_C[:, :, ::2].max(axis=1, keepdims=True)
        own_S_A_C /= own_S_A_C.sum(axis=1, keepdims=True)
        around = min(config.overlap, 1 - config.overlap)
        overlap_C = rng.uniform(config.overlap - around, config.overlap + around, C)
        mixed_S_A_C = overlap_C * self._behaviour_S_A[:, :, None] + (1 - overlap_C) * own_S_A_C
        if config.unseen:
            unseen = self.actions.index(UNSEEN)
            mixed_S_A_C[1:] *= 1 - config.unseen
            mixed_S_A_C[1:, unseen] = config.unseen
        return mixed_S_A_C[:, :, self._apart(mixed_S_A_C)]

    def _apart(self, pool_S_A_C: _Table) -> npt.NDArray[np.int64]:
        """Of many policies those whose mean levels are nearest to even steps from the worst to the best."""
        mean_C = self._values(pool_S_A_C, np.linspace(-1, 1, len(self._look_Z)))[:, 0]
        free = list(range(len(mean_C)))
        steps = np.linspace(mean_C.min(), mean_C.max(), self.config.candidates)
        return np.array([free.pop(int(np.argmin(np.abs(mean_C[free] - step)))) for step in steps])

    def _levels(self, rng: np.random.Generator) -> _Table:
        """Chance of success by level, stretched until the candidates lie `spread` apart (values are linear in it)."""
        levels = len(self._look_Z)
        profile_Z = np.linspace(-1, 1, levels) + rng.uniform(-0.5, 0.5, levels) / levels
        profile_Z /= np.abs(profile_Z).max()
        unit = float(np.ptp(self._values(self._candidate_S_A_C, profile_Z)[:, 0]))
        reach = _HIGHEST / (1 + self.config.difficulty) - _CENTRE
        stretch = min(reach, self.config.spread / unit) if unit > 1e-9 else reach
        return _CENTRE + stretch * profile_Z

    def _values(self, policy_S_A_C: _Table, correct_Z: _Table) -> Floats:
        """Expected values of policies, `C x M`, by dynamic programming over attempts left and level.

        Task difficulty multiplies all means by a factor of mean 1 that nothing depends on: it cancels.
        """
        K, Z, C, M = self.config.rounds, len(self._look_Z), policy_S_A_C.shape[2], len(OBJECTIVES)
        values_K_Z_C_M = np.zeros((K + 1, Z, C, M))
        end_Z_C_M = values_K_Z_C_M[0]
        end_Z_C_M[:, :, 0] = correct_Z[:, None]
        for left in range(1, K + 1):
            state_Z = self._state(left, self._look_Z)
            for action in np.flatnonzero(self._legal_S_A[state_Z[0]]):
                attempts = self._attempts_A[action]
                after_Z_C_M = end_Z_C_M
                if attempts:
                    after_Z_C_M = np.tensordot(self._next_A_Z_Z[action], values_K_Z_C_M[left - attempts], axes=1)
                gain_Z_C_M = after_Z_C_M.copy()
                gain_Z_C_M[:, :, 1:] -= attempts * self._cost_A_O[action] / K
                values_K_Z_C_M[left] += policy_S_A_C[state_Z, action][:, :, None] * gain_Z_C_M
        values_C_M: Floats = values_K_Z_C_M[K, 0]
        values_C_M[:, 1:] += 1
        return values_C_M

    def _episodes(
        self, chosen_S_A: _Table, ease_N: _Table, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
        """States, actions (-1: ended) and rewards, all episodes at once, round by round."""
        N, K = len(ease_N), self.config.rounds
        state_N_K = np.zeros((N, K), np.int64)
        action_N_K = np.full((N, K), -1)
        rewards_N_K_M = np.zeros((N, K, len(OBJECTIVES)))
        rewards_N_K_M[:, 0, 1:] = 1.0
        left_N, level_N = np.full(N, K), np.zeros(N, np.int64)
        open_N = np.arange(N)
        for k in range(K):
            look_N = self._look_Z[level_N[open_N]]
            later_N = 1 + (K - 1 - left_N[open_N]) * self.config.looks + look_N
            state_N = later_N if k else np.zeros_like(later_N)
            action_N = _drawn(chosen_S_A[state_N], rng)
            level_N[open_N] = _drawn(self._next_A_Z_Z[action_N, level_N[open_N]], rng)
            left_N[open_N] -= self._attempts_A[action_N]
            state_N_K[open_N, k], action_N_K[open_N, k] = state_N, action_N
            rewards_N_K_M[open_N, k, 1:] -= self._costs(action_N, ease_N[open_N], rng)
            ended_N = (self._attempts_A[action_N] == 0) | (left_N[open_N] == 0)
            rewards_N_K_M[open_N[ended_N], k, 0] = 1.0
            open_N = open_N[~ended_N]
        mean_N = self._correct_Z[level_N] * ease_N
        passed_N = rng.random(N) < mean_N
        rewards_N_K_M[:, :, 0] *= (mean_N + self.config.noise * (passed_N - mean_N))[:, None]
        return state_N_K, action_N_K, rewards_N_K_M

    def _costs(self, action_N: npt.NDArray[np.int64], ease_N: _Table, rng: np.random.Generator) -> _Table:
        """What a round takes from each objective but `correct`: meters scatter, findings are counted."""
        attempts_N_1 = self._attempts_A[action_N][:, None]
        mean_N_O = self._cost_A_O[action_N] * (2 - ease_N)[:, None]
        metered_N_O = attempts_N_1 * mean_N_O * rng.uniform(0.5, 1.5, mean_N_O.shape)
        counted_N_O = rng.binomial(attempts_N_1, mean_N_O)
        scattered_N_O = np.where(np.array([True, False, True, False]), metered_N_O, counted_N_O)
        expected_N_O = attempts_N_1 * mean_N_O
        costs_N_O: _Table = expected_N_O + self.config.noise * (scattered_N_O - expected_N_O)
        return costs_N_O / self.config.rounds

    def _without_lost(self, log: EpisodeLog, rng: np.random.Generator) -> EpisodeLog:
        if not self.config.lost:
            return log
        kept_N = rng.random(log.n) >= self.config.lost
        return replace(log.take(kept_N), left_out={"infra_error": int((~kept_N).sum())})


def _actions(config: WorldConfig) -> tuple[Option, ...]:
    fans = ("fanout_1", "fanout_2")
    steers = [Option("continue", "refine_last", f"steer_{number}") for number in range(config.steers)]
    later = (Option("done"), *(Option("continue", fan) for fan in fans), *steers)
    return (*(Option(None, fan) for fan in fans), *later, *([UNSEEN] if config.unseen else []))


def _attempts(option: Option) -> int:
    return {None: 0, "fanout_1": 1, "fanout_2": 2}.get(option.topology, 1)


def _transitions(option: Option, levels: int, alike: int, rng: np.random.Generator) -> _Table:
    """From level to level by refining: to a better or a worse look, as likely as this steer at that level makes it.

    Every second steer mostly helps and the others mostly harm, or no two candidates would be far apart. Of levels that
    look alike a rise reaches the best and a fall the worst: what a look is worth depends on who led there.
    """
    helps = (option.steer or "").endswith(tuple("02468"))
    up_Z = rng.beta(8, 2, levels) if helps else rng.beta(2, 8, levels)
    down_Z = rng.beta(2, 8, levels) if helps else rng.beta(8, 2, levels)
    moved_Z_Z = np.zeros((levels, levels))
    for level in range(levels):
        up, down, first = up_Z[level], (1 - up_Z[level]) * down_Z[level], level - level % alike
        moved_Z_Z[level, min(first + 2 * alike - 1, levels - 1)] += up
        moved_Z_Z[level, max(first - alike, 0)] += down
        moved_Z_Z[level, level] += 1 - up - down
    return moved_Z_Z if option.topology == "refine_last" else np.eye(levels)


def _drawn(chances_N_A: _Table, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """One index per row, by its probabilities; a probability of 0 is never drawn."""
    below_N_A = np.cumsum(chances_N_A, axis=1)
    point_N = rng.random(len(chances_N_A)) * below_N_A[:, -1]
    drawn_N: npt.NDArray[np.int64] = (point_N[:, None] >= below_N_A).sum(axis=1)
    return drawn_N
