"""Logged episodes of machines with lamps, made in memory: each directive mends the group it names, if that is broken.

A machine has up to three broken groups; the lamps of a group are features `lit.<group>`. A round either stops, starts
afresh (all faults are back) or refines under an action. Episodes end by `done` or after ROUNDS rounds; `correct` is 1
where nothing is broken at the end, `cheap` falls with every attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final

import numpy as np

from optimizers.episode_log import EpisodeLog, Floats, Option, Target

GROUPS: Final = ("fan", "pump", "valve", "belt")
ROUNDS: Final = 3
TEXTS: Final = {group: f"Work on the {group} before anything else." for group in GROUPS} | {"none": ""}
FEATURES: Final = ("attempts", *(f"lit.{group}" for group in GROUPS), "passed")

State = tuple[int, tuple[bool, ...]]
"attempts made, and which groups are lit"
Policy = Callable[[State, Sequence[Option]], Sequence[float]]
"probability of each legal option"


@dataclass(frozen=True)
class Lamps:
    """The world: who is broken at the start is drawn per task; `known` are the actions of the behaviour."""

    known: tuple[str, ...] = (*GROUPS, "none")
    mends: float = 0.85
    "how often a named group is mended; another broken one is mended half as often as that over four"
    options: dict[State, tuple[Option, ...]] = field(init=False)

    def __post_init__(self) -> None:
        states = product(range(ROUNDS), product((False, True), repeat=len(GROUPS)))
        object.__setattr__(self, "options", {state: self._legal(state) for state in states})

    def _legal(self, state: State) -> tuple[Option, ...]:
        if state[0] == 0:
            return (Option(None, "fanout_1"),)
        refines = (Option("continue", "refine_last", action) for action in self.known)
        return (Option("done"), Option("continue", "fanout_1"), *refines)

    def uniform(self, state: State, options: Sequence[Option]) -> list[float]:
        """The behaviour."""
        return [1 / len(options)] * len(options)

    def log(self, n: int, tasks: int, seed: int) -> EpisodeLog:
        """`n` episodes of `tasks` tasks under `uniform`."""
        rng = np.random.default_rng(seed)
        faults = [self._faults(rng) for _ in range(tasks)]
        listed = [(state, option) for state, options in self.options.items() for option in options]
        places = {pair: place for place, pair in enumerate(listed)}
        states = {state: number for number, state in enumerate(self.options)}
        actions = tuple(dict.fromkeys(option for _, option in listed))
        option_N_K = np.full((n, ROUNDS), -1, np.int32)
        rewards_N_K_M = np.zeros((n, ROUNDS, 2))
        for row in range(n):
            rounds, values = self._play(faults[row % tasks], self.uniform, rng)
            option_N_K[row, : len(rounds)] = [places[one] for one in rounds]
            rewards_N_K_M[row, len(rounds) - 1] = values
        behaviour_L = np.array([1 / len(self.options[state]) for state, _ in listed])
        return EpisodeLog(
            objectives=("correct", "cheap"),
            tasks=tuple(f"task{number:03}" for number in range(tasks)),
            features=FEATURES,
            actions=actions,
            task_N=np.arange(n, dtype=np.int32) % tasks,
            option_N_K=option_N_K,
            propensity_N_K=np.where(option_N_K < 0, 1.0, behaviour_L[option_N_K]),
            rewards_N_K_M=rewards_N_K_M,
            state_L=np.array([states[state] for state, _ in listed], np.int32),
            action_L=np.array([actions.index(option) for _, option in listed], np.int32),
            behaviour_L=behaviour_L,
            features_S_F=np.array([_features(state) for state in states]),
        )

    def target(self, policies: dict[str, Policy], log: EpisodeLog) -> Target:
        """The policies' probability of each option of `log`; what they would do beyond it is left out."""
        columns = [
            [p for state, options in self.options.items() for p in policy(state, options)[: len(options)]]
            for policy in policies.values()
        ]
        return Target(tuple(policies), np.array(columns).T.reshape(len(log.state_L), len(policies)))

    def value(self, policy: Policy, n: int, seed: int) -> Floats:
        """The mean of both objectives over `n` played episodes of fresh machines."""
        rng = np.random.default_rng(seed)
        values = np.array([self._play(self._faults(rng), policy, rng)[1] for _ in range(n)])
        means: Floats = values.mean(axis=0)
        return means

    def _faults(self, rng: np.random.Generator) -> tuple[bool, ...]:
        broken = rng.permutation(len(GROUPS))[: rng.integers(1, 4)]
        return tuple(number in broken for number in range(len(GROUPS)))

    def _play(
        self, faults: tuple[bool, ...], policy: Policy, rng: np.random.Generator
    ) -> tuple[list[tuple[State, Option]], tuple[float, float]]:
        rounds: list[tuple[State, Option]] = []
        broken, made = faults, 0
        while made < ROUNDS:
            options = self.options[made, broken if made else (False,) * len(GROUPS)]
            state = (made, broken if made else (False,) * len(GROUPS))
            option = options[rng.choice(len(options), p=policy(state, options))]
            rounds.append((state, option))
            if option.stop == "done":
                break
            start = broken if option.topology == "refine_last" else faults
            broken, made = self._attempt(start, option.steer, rng), made + 1
        return rounds, (float(not any(broken)), 1 - made / (ROUNDS + 1))

    def _attempt(self, broken: tuple[bool, ...], steer: str | None, rng: np.random.Generator) -> tuple[bool, ...]:
        chances = [self.mends if group == steer else self.mends / 8 for group in GROUPS]
        return tuple(is_broken and rng.random() >= chance for is_broken, chance in zip(broken, chances, strict=True))


def _features(state: State) -> list[float]:
    made, lit = state
    if made == 0:
        return [0.0, *([np.nan] * len(GROUPS)), np.nan]
    return [float(made), *(float(one) for one in lit), float(not any(lit))]
