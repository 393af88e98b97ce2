"""What a candidate's estimate rests on, and when it is refused: one rule for all estimators that weigh."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from optimizers.episode_log import EpisodeLog, Floats, Option, Target
from optimizers.replay import Asked, Evidence
from optimizers.replay.estimates import MAX_UNSUPPORTED, MIN_ESS, Support
from optimizers.replay.kernels import Kernels, Path, WeightSums, kernels
from optimizers.replay.rows import Rows, gap_of, rows_of, table_of, usable
from signatures.errors import UsageError

BLOCK: Final = 64
"""Candidates worked on at once: one table row is 512 bytes."""
BLOCK_CELLS: Final = 32_000_000
"""Numbers that the sums of one block may hold: 256 MB."""


def given(evidence: Evidence, asked: Asked) -> tuple[EpisodeLog, Target]:
    """The log and the candidates as probabilities. Raises UsageError where either is not there."""
    if evidence.log is None:
        raise UsageError("this estimator weighs recorded episodes, and the evidence holds no log of them")
    if asked.target is None:
        raise UsageError("this estimator needs the candidates' probabilities (Asked.target)")
    return evidence.log, asked.target


def blocks(target: Target, *, cells: int = 1) -> Iterator[slice]:
    """The candidates in blocks, of fewer where the `cells` numbers that a candidate takes would fill the memory."""
    C, size = len(target.names), max(1, min(BLOCK, BLOCK_CELLS // max(cells, 1)))
    return (slice(first, min(first + size, C)) for first in range(0, C, size))


def support_of(log: EpisodeLog, target: Target, *, path: Path = "auto") -> list[Support]:
    """What an importance-weighted estimate of each candidate rests on: whole-episode weights of usable episodes.

    Never refuses: `refusals` does. Raises UsageError where `target` does not fit the log or holds no probabilities.
    """
    rows = rows_of(log)
    found: list[Support] = []
    run = kernels(path, work=log.n * len(target.names))
    no_values_N_0 = np.zeros((len(rows.option_N_K), 0))
    for chosen in blocks(target, cells=len(rows.start_T)):
        table_L_C = table_of(rows, target, chosen)
        sums = run.weight_sums(rows.option_N_K, table_L_C, rows.scale_N, no_values_N_0, rows.start_T)
        unsupported_C = unsupported_of(run, rows, table_L_C, gap_of(log, target, chosen))
        found.extend(supports(rows, sums, unsupported_C, sum(log.left_out.values())))
    return found


def unsupported_of(run: Kernels, rows: Rows, table_L_C: Floats, gap_L_C: Floats) -> Floats:
    """Probability that a candidate leaves what is recorded: the gap at each state, weighted by what led to it. `C`.

    The mean over episodes of sum over rounds of (weight up to there) x (gap there); 0 without episodes. Candidates
    without any gap cost nothing.
    """
    unsupported_C = np.zeros(table_L_C.shape[1])
    gaps = np.flatnonzero(gap_L_C.any(axis=0))
    if gaps.size and len(rows.option_N_K):
        table, gap = np.ascontiguousarray(table_L_C[:, gaps]), np.ascontiguousarray(gap_L_C[:, gaps])
        total = run.gap_sums(rows.option_N_K, table, rows.scale_N_K, gap)
        unsupported_C[gaps] = np.clip(total / len(rows.option_N_K), 0.0, 1.0)
    return unsupported_C


def supports(rows: Rows, sums: WeightSums, unsupported_C: Floats, left_out: int) -> list[Support]:
    """`Support` of each candidate from its sums. The standard error of the mean weight is clustered by task.

    Source of the effective sample size: Kish 1965, (sum w)^2 / sum w^2.
    """
    n, T = len(rows.option_N_K), len(rows.start_T) - 1
    total_C = sums.weight_T_C.sum(axis=0)
    some_C = total_C > 0
    safe_C = np.where(some_C, total_C, 1.0)
    ess_C = np.where(some_C, (total_C / np.where(some_C, sums.square_C, 1.0)) * total_C, 0.0)
    share_C = np.where(some_C, np.minimum(sums.largest_C / safe_C, 1.0), 0.0)
    mean_C = total_C / max(n, 1)
    residual_T_C = sums.weight_T_C - np.diff(rows.start_T)[:, None] * mean_C
    se_C = np.sqrt((residual_T_C**2).sum(axis=0) * T / max(T - 1, 1)) / max(n, 1)
    return [
        Support(
            n=n,
            tasks=T,
            left_out=left_out,
            ess=float(ess_C[c]),
            largest_share=float(share_C[c]),
            unsupported=float(unsupported_C[c]),
            mean_weight=float(mean_C[c]) if n else None,
            mean_weight_se=float(se_C[c]) if T > 1 else None,
        )
        for c in range(len(total_C))
    ]


def refusals(supports: Sequence[Support], log: EpisodeLog, target: Target) -> list[str | None]:
    """Why each candidate gets no estimate, in words that say what to collect; None: it gets one."""
    propensities = _propensities(log)
    return [propensities or _own(support, log, target, c) for c, support in enumerate(supports)]


def _propensities(log: EpisodeLog) -> str | None:
    """What all candidates are refused for: a draw whose probability is not known weighs nothing."""
    wrong_N_K = ~usable(log)
    if not wrong_N_K.any():
        return None
    missing = int((wrong_N_K & np.isnan(log.propensity_N_K)).sum())
    zero = int(wrong_N_K.sum()) - missing
    rounds = int((log.option_N_K >= 0).sum())
    return (
        f"of {rounds} recorded rounds {missing} have no propensity and {zero} one of zero or beyond 1: "
        "leave those episodes out, or collect with a controller that draws with recorded probabilities"
    )


def _own(support: Support, log: EpisodeLog, target: Target, c: int) -> str | None:
    if target.unknown and target.unknown[c]:
        return f"no recorded state offers {', '.join(target.unknown[c])}: collect episodes that may draw it"
    if support.unsupported > MAX_UNSUPPORTED:
        return (
            f"{support.unsupported:.1%} of what it does was never recorded ({MAX_UNSUPPORTED:.0%} is allowed), "
            f"such as {_lacking(log, target, c)}: collect that"
        )
    if support.ess < MIN_ESS:
        more = f"about {math.ceil(10 * MIN_ESS / support.ess) / 10:.1f} times as many" if support.ess > 0 else "some"
        return (
            f"{support.n} episodes weigh as much as {support.ess:.1f}, and {MIN_ESS:.0f} are needed: "
            f"collect {more} episodes, or episodes of a controller nearer to it"
        )
    return None


def _lacking(log: EpisodeLog, target: Target, c: int) -> str:
    """The action with the most unrecorded probability over all states, as text."""
    probability_L = np.where(log.behaviour_L > 0, 0.0, target.probability_L_C[:, c])
    mass_A = np.bincount(log.action_L, weights=probability_L, minlength=len(log.actions))
    rest = len(np.unique(log.state_L)) - float(target.probability_L_C[:, c].sum())
    if not mass_A.size or mass_A.max() < rest:
        return "moves that no state lists"
    return _named(log.actions[int(mass_A.argmax())])


def _named(option: Option) -> str:
    return " ".join(part for part in option if part is not None) or "a move without alternatives"
