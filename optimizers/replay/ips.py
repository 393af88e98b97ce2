"""Importance sampling (IPS): the plain weighted mean. Unbiased and loose; it audits the others."""

from __future__ import annotations

import numpy as np

from optimizers.replay import Asked, Evidence
from optimizers.replay.estimates import Estimate, Refusal
from optimizers.replay.inference import Intervals, Method, ratio_intervals
from optimizers.replay.kernels import Path
from optimizers.replay.support import given
from optimizers.replay.weighing import Block, answered

__all__ = ["Ips"]


class Ips:
    """sum_n w_n r_n / N, with w_n the product of the episode's ratios.

    What is unsupported adds 0 to the value and its whole mass to the upper end. Source: Horvitz & Thompson 1952;
    Precup, Sutton & Singh 2000, section 3 (ordinary importance sampling).
    """

    id = "ips"

    def __init__(self, *, interval: Method = "influence", path: Path = "auto") -> None:
        self._interval: Method = interval
        self._path: Path = path

    async def estimate(self, evidence: Evidence, asked: Asked) -> list[Estimate | Refusal]:
        """One answer per candidate. Raises UsageError without a log or probabilities, or where they do not fit."""
        log, target = given(evidence, asked)
        return answered(self.id, log, target, self._valued, path=self._path)

    def _valued(self, block: Block) -> Intervals:
        episodes_T_1_1 = np.diff(block.rows.start_T).astype(np.float64)[:, None, None]
        found = ratio_intervals(block.sums.value_T_M_C[:, None], episodes_T_1_1, method=self._interval)
        # The caller scales the ends of a supported part by its share: this value counts the rest as 0 already.
        share_C = np.maximum(1.0 - block.unsupported_C, 1e-9)
        return Intervals(found.value_M_C, found.lo_M_C / share_C, found.hi_M_C / share_C)
