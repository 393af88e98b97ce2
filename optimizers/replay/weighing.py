"""The way all importance-weighted estimators go: blocks of candidates, support, refusal or value with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from optimizers.episode_log import EpisodeLog, Floats, Target
from optimizers.replay.estimates import Bound, Estimate, Refusal, Support, widened
from optimizers.replay.inference import Intervals
from optimizers.replay.kernels import Kernels, Path, WeightSums, kernels
from optimizers.replay.rows import Rows, gap_of, rows_of, table_of
from optimizers.replay.support import blocks, refusals, supports, unsupported_of


class Block(NamedTuple):
    """What an estimator values a block of candidates from."""

    run: Kernels
    rows: Rows
    table_L_C: Floats
    sums: WeightSums
    unsupported_C: Floats


def answered(
    estimator: str, log: EpisodeLog, target: Target, valued: Callable[[Block], Intervals], *, path: Path = "auto"
) -> list[Estimate | Refusal]:
    """One answer per candidate. `valued` gives the value of what is supported; here it is widened by what is not.

    Values are clipped to [0, 1], where outcomes are. Raises UsageError where `target` does not fit the log.
    """
    rows = rows_of(log)
    run = kernels(path, work=log.n * len(target.names))
    bases: list[Support] = []
    bounds: list[dict[str, Bound]] = []
    for chosen in blocks(target, cells=rows.rewards_N_K_M.shape[1] * (1 + len(log.objectives)) * len(rows.start_T)):
        table_L_C = table_of(rows, target, chosen)
        sums = run.weight_sums(rows.option_N_K, table_L_C, rows.scale_N, rows.values_N_M, rows.start_T)
        unsupported_C = unsupported_of(run, rows, table_L_C, gap_of(log, target, chosen))
        found = valued(Block(run, rows, table_L_C, sums, unsupported_C))
        bases.extend(supports(rows, sums, unsupported_C, sum(log.left_out.values())))
        bounds.extend(_bounds(found, log.objectives, unsupported_C))
    answers: list[Estimate | Refusal] = []
    for name, reason, values, base in zip(target.names, refusals(bases, log, target), bounds, bases, strict=True):
        if reason is not None:
            answers.append(Refusal(candidate=name, estimator=estimator, reason=reason, support=base))
        else:
            answers.append(Estimate(candidate=name, estimator=estimator, values=values, support=base))
    return answers


def _bounds(found: Intervals, objectives: tuple[str, ...], unsupported_C: Floats) -> list[dict[str, Bound]]:
    return [
        {
            name: _bound(*(float(ends[m, c]) for ends in found), unsupported=float(unsupported_C[c]))
            for m, name in enumerate(objectives)
        }
        for c in range(len(unsupported_C))
    ]


def _bound(value: float, lo: float, hi: float, *, unsupported: float) -> Bound:
    value = min(1.0, max(0.0, value))
    if math.isnan(lo) or math.isnan(hi):
        return widened(value, None, None, unsupported)
    return widened(value, lo, hi, unsupported)
