"""Self-normalised importance sampling (SNIPS): the weighted mean over the sum of the weights. The point estimate."""

from __future__ import annotations

from optimizers.replay import Asked, Evidence
from optimizers.replay.estimates import Estimate, Refusal
from optimizers.replay.inference import Intervals, Method, ratio_intervals
from optimizers.replay.kernels import Path
from optimizers.replay.support import given
from optimizers.replay.weighing import Block, answered

__all__ = ["Snips"]


class Snips:
    """sum_n w_n r_n / sum_n w_n, with w_n the product of the episode's ratios.

    Its influence function is w (r - v) / mean w. Source: Swaminathan & Joachims 2015, eq. 6; Precup, Sutton &
    Singh 2000, section 3 (weighted importance sampling).
    """

    id = "snips"

    def __init__(self, *, interval: Method = "influence", path: Path = "auto") -> None:
        self._interval: Method = interval
        self._path: Path = path

    async def estimate(self, evidence: Evidence, asked: Asked) -> list[Estimate | Refusal]:
        """One answer per candidate. Raises UsageError without a log or probabilities, or where they do not fit."""
        log, target = given(evidence, asked)
        return answered(self.id, log, target, self._valued, path=self._path)

    def _valued(self, block: Block) -> Intervals:
        sums = block.sums
        return ratio_intervals(sums.value_T_M_C[:, None], sums.weight_T_C[:, None], method=self._interval)
