"""What the reward model is asked: candidates over the recorded states, with options that no state recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from optimizers.episode_log import EpisodeLog, Floats, Option, Target
from signatures.digest import digest_bytes, digest_of
from signatures.errors import UsageError


class Extra(NamedTuple):
    """An option that no recorded state offers, such as a new steer's, as part of what one candidate does."""

    candidate: str
    "its name in the target"
    option: Option
    text: str = ""
    "the steer's text"
    share: float = 1.0
    "of the probability that the candidate has beyond the record, relative to its other extras"


@dataclass(frozen=True)
class Question:
    """Candidates and the states that they are averaged over.

    Raises UsageError where target and log do not fit, a share is not above 0, an extra belongs to no candidate, or
    no round was recorded.
    """

    log: EpisodeLog
    target: Target
    extra: Sequence[Extra] = ()

    def __post_init__(self) -> None:
        options, given = len(self.log.state_L), len(self.target.probability_L_C)
        if options != given:
            raise UsageError(f"the target has {given} options where the log has {options}")
        for one in self.extra:
            if one.candidate not in self.target.names:
                raise UsageError(f"an extra option belongs to {one.candidate}, which is not among the candidates")
            if not (math.isfinite(one.share) and one.share > 0):
                raise UsageError(f"an extra option of {one.candidate} has the share {one.share}, which is not above 0")
        if not (self.log.option_N_K >= 0).any():
            raise UsageError("no round was recorded to average over")

    @cached_property
    def visits_S_K(self) -> Floats:
        """The share of all recorded rounds that were in each state as their episode's round k; sums to 1."""
        episode_R, round_R = np.nonzero(self.log.option_N_K >= 0)
        state_R = self.log.state_L[self.log.option_N_K[episode_R, round_R]]
        visits_S_K = np.zeros((len(self.log.features_S_F), self.log.option_N_K.shape[1]))
        np.add.at(visits_S_K, (state_R, round_R), 1.0)
        return visits_S_K / len(state_R)

    @cached_property
    def visits_L(self) -> Floats:
        """The visits of each option's state."""
        visits_L: Floats = self.visits_S_K.sum(axis=1)[self.log.state_L]
        return visits_L

    @cached_property
    def missing_S_C(self) -> Floats:
        """How much of each candidate is in each state beyond its options; sums over S to at most 1."""
        states, first = np.unique(self.log.state_L, return_index=True)  # options of one state are neighbours
        missing_S_C = np.ones((len(self.log.features_S_F), len(self.target.names)))
        missing_S_C[states] -= np.add.reduceat(self.target.probability_L_C, first, axis=0)
        missing_S_C[missing_S_C < 1e-9] = 0.0  # what rounding leaves of probabilities that sum to 1
        missing_S_C *= self.visits_S_K.sum(axis=1)[:, None]
        return missing_S_C

    @cached_property
    def unsupported_C(self) -> Floats:
        """The share of each candidate on options that the behaviour never drew or no state offers."""
        never_L = self.log.behaviour_L <= 0
        held_C = self.visits_L[never_L] @ self.target.probability_L_C[never_L]
        unsupported_C: Floats = np.clip(held_C + self.missing_S_C.sum(axis=0), 0.0, 1.0)
        return unsupported_C

    def shares(self, candidate: str) -> Mapping[int, float]:
        """Index of each extra of the candidate -> its share; they sum to 1."""
        own = {place: one.share for place, one in enumerate(self.extra) if one.candidate == candidate}
        return {place: share / math.fsum(own.values()) for place, share in own.items()}

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """Per candidate a name of what is asked about it: its probabilities, its extras, the states and visits."""
        log = self.log
        arrays = (self.visits_S_K, log.features_S_F, log.state_L, log.action_L, log.behaviour_L)
        states = digest_bytes(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays))
        common = digest_of(states, log.features, log.actions)
        return tuple(
            digest_of(common, _digest(self.target.probability_L_C, c), [x for x in self.extra if x.candidate == name])
            for c, name in enumerate(self.target.names)
        )


def _digest(probability_L_C: Floats, column: int) -> str:
    return digest_bytes(np.ascontiguousarray(probability_L_C[:, column], np.float64).tobytes())
