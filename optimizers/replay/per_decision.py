"""Per-decision self-normalised importance sampling: each round's reward is weighted by what led to it, no more."""

from __future__ import annotations

from optimizers.replay import Asked, Evidence
from optimizers.replay.estimates import Estimate, Refusal
from optimizers.replay.inference import Intervals, Method, ratio_intervals
from optimizers.replay.kernels import Path
from optimizers.replay.support import given
from optimizers.replay.weighing import Block, answered

__all__ = ["PerDecisionSnips"]


class PerDecisionSnips:
    """sum_k (sum_n w_nk r_nk) / (sum_n w_nk), with w_nk the product of the ratios up to round k.

    An episode that has ended keeps its weight in the later rounds, where its reward is 0. Source: Precup, Sutton &
    Singh 2000, section 4; Thomas & Brunskill 2016, section 3 (CWPDIS).
    """

    id = "pd-snips"

    def __init__(self, *, interval: Method = "influence", path: Path = "auto") -> None:
        self._interval: Method = interval
        self._path: Path = path

    async def estimate(self, evidence: Evidence, asked: Asked) -> list[Estimate | Refusal]:
        """One answer per candidate. Raises UsageError without a log or probabilities, or where they do not fit."""
        log, target = given(evidence, asked)
        return answered(self.id, log, target, self._valued, path=self._path)

    def _valued(self, block: Block) -> Intervals:
        rows = block.rows
        sums = block.run.round_sums(rows.option_N_K, block.table_L_C, rows.scale_N_K, rows.rewards_N_K_M, rows.start_T)
        return ratio_intervals(sums.reward_T_K_M_C, sums.weight_T_K_C, method=self._interval)
