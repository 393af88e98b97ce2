"""Logged episodes as arrays with named axes: what the estimators read, and nothing else.

An episode is at most K rounds. In each round the state that was observed allows some *options*: an option is a move
with its steer, such as stop, `fanout_1`, or `refine_last` under the action `undo`. All options of all distinct states
are listed once (axis L); a round of an episode names the option that was drawn. A candidate is then nothing but its
probability of each option (`Target.probability_L_C`), and every estimator is arithmetic on these arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from signatures.errors import UsageError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int32]


class Option(NamedTuple):
    """One way to go on from a state: what each policy drew, None where it had nothing to draw."""

    stop: str | None
    topology: str | None = None
    steer: str | None = None


@dataclass(frozen=True)
class EpisodeLog:
    """N episodes of T tasks with the probabilities they were drawn with. Axes are listed in CONTRIBUTING.md.

    Options of one state are neighbours on axis L. Episodes whose outcome is not known (infrastructure, a judge that
    could not say, a checker that did not measure) are not in it; `left_out` counts them by reason.
    """

    objectives: tuple[str, ...]
    "M names, in the order of the last axis of `rewards_N_K_M`"
    tasks: tuple[str, ...]
    "T task digests"
    features: tuple[str, ...]
    "F names of observation features"
    actions: tuple[Option, ...]
    "A distinct options"
    task_N: Integers
    "index into `tasks`"
    option_N_K: Integers
    "index on axis L of what was drawn; -1 where the episode had ended. Rounds of an episode are contiguous from 0"
    propensity_N_K: Floats
    "recorded probability of that option, all its draws multiplied; 1 where the episode had ended, NaN where missing"
    rewards_N_K_M: Floats
    "what the round added to the episode's scaled value: sums over K to a value on [0, 1]"
    state_L: Integers
    "the state of each option, not decreasing"
    action_L: Integers
    "index into `actions`"
    behaviour_L: Floats
    "recorded probability of each option at its state, drawn or not; 0: it could never have been drawn there"
    features_S_F: Floats
    "what a policy saw in each state; NaN = not observed"
    left_out: Mapping[str, int] = field(default_factory=dict)
    "reason -> episodes"

    def __post_init__(self) -> None:
        N, K = self.option_N_K.shape
        shapes = {
            "task_N": (self.task_N.shape, (N,)),
            "propensity_N_K": (self.propensity_N_K.shape, (N, K)),
            "rewards_N_K_M": (self.rewards_N_K_M.shape, (N, K, len(self.objectives))),
            "action_L": (self.action_L.shape, self.state_L.shape),
            "behaviour_L": (self.behaviour_L.shape, self.state_L.shape),
            "features_S_F": (self.features_S_F.shape[1:], (len(self.features),)),
        }
        for name, (shape, wanted) in shapes.items():
            if shape != wanted:
                raise UsageError(f"{name} has the shape {shape}, not {wanted}")

    @property
    def n(self) -> int:
        """Episodes."""
        return int(self.option_N_K.shape[0])

    @property
    def values_N_M(self) -> Floats:
        """The scaled value of each episode: `N x M`."""
        values: Floats = self.rewards_N_K_M.sum(axis=1)
        return values

    def take(self, rows: npt.ArrayLike) -> EpisodeLog:
        """The log with these episodes, in this order (indices or a mask); states and options stay as they are."""
        chosen = np.asarray(rows)
        chosen = chosen if chosen.size else chosen.astype(np.intp)
        return replace(
            self,
            task_N=self.task_N[chosen],
            option_N_K=self.option_N_K[chosen],
            propensity_N_K=self.propensity_N_K[chosen],
            rewards_N_K_M=self.rewards_N_K_M[chosen],
        )


@dataclass(frozen=True)
class Target:
    """C candidates as the estimators see them."""

    names: tuple[str, ...]
    "C names"
    probability_L_C: Floats
    "each candidate's probability of each option of the log; sums to 1 over the options of a state, or to less"
    unknown: Sequence[tuple[str, ...]] = ()
    "per candidate the actions it names that no recorded state offers: whoever has one is refused"

    def __post_init__(self) -> None:
        if self.probability_L_C.ndim != 2 or self.probability_L_C.shape[1] != len(self.names):
            raise UsageError(f"probability_L_C has the shape {self.probability_L_C.shape} for {len(self.names)} names")
        if self.unknown and len(self.unknown) != len(self.names):
            raise UsageError(f"unknown actions of {len(self.unknown)} candidates for {len(self.names)} names")
