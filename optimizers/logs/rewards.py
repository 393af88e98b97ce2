"""Rewards of logged episodes: what each round added to the episode's scaled value, objective by objective.

The sums are those of `episode_values` in `optimizers/scoring.py`, taken for all episodes at once. Axes beside those of
CONTRIBUTING.md: B attempts, sorted by episode and place in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from optimizers.logs.rounds import Record
from optimizers.logs.tabled import Floats, Mask, column, floats, floats_at
from signatures.errors import UsageError
from signatures.records import Objective


def rewards_of(record: Record, outcomes: Mapping[str, float | None], objectives: Sequence[Objective]) -> Floats:
    """`N x K x M`: a running total's scaled value minus the one before, so that rounds sum to the scaled value.

    `outcomes`: episode id -> the judge's number, which all falls in the last round. NaN throughout an episode and
    objective that was not measured: no number of the judge, an attempt in range without a checker value. A total that
    was not known for a while (an attempt that is not in the final lineage) counts in the round that knows it again.
    Every episode must have selected an attempt, and none may have one that infrastructure ended.
    """
    K = int(record.rounds_N.max(initial=0))
    rewards_N_K_M = np.zeros((record.n, K, len(objectives)))
    for m, objective in enumerate(objectives):
        if objective.over == "judge":
            scaled_N = _scaled(_outcomes(record, outcomes), objective)
            last = np.arange(K) == (record.rounds_N - 1)[:, None]
            rewards_N_K_M[:, :, m] = np.where(last, scaled_N[:, None], 0.0)
            rewards_N_K_M[np.isnan(scaled_N), :, m] = np.nan
        else:
            whole = objective.over == "episode"
            total_N_K = _episode_totals(record, objective) if whole else _lineage_totals(record, objective)
            rewards_N_K_M[:, :, m] = _differences(_scaled(total_N_K, objective))
    return rewards_N_K_M


def unknown(rewards_N_K_M: Floats, objectives: Sequence[Objective], *, judged: bool) -> Mask:
    """Which episodes lack an objective: of those that the judge scores, or of the others."""
    chosen = [m for m, objective in enumerate(objectives) if (objective.over == "judge") == judged]
    lacking: Mask = np.asarray(np.isnan(rewards_N_K_M[:, :, chosen]).any(axis=(1, 2)))
    return lacking


def _values(record: Record, objective: Objective) -> Floats:
    """The checker's value of each attempt; NaN where it did not run or could not say."""
    table, name = record.tables.attempts, f"value.{objective.name}"
    if name not in table.column_names:
        return np.full(len(record.attempts.row_B), np.nan)
    return floats(table, name)[record.attempts.row_B]


def _episode_totals(record: Record, objective: Objective) -> Floats:
    attempts, made_N_K = record.attempts, record.attempts_N_K
    values_N_P = np.zeros((record.n, int(made_N_K.max(initial=0)) + 1))
    values_N_P[attempts.episode_B, attempts.position_B + 1] = _values(record, objective)
    return np.take_along_axis(values_N_P.cumsum(axis=1), made_N_K, axis=1)


def _lineage_totals(record: Record, objective: Objective) -> Floats:
    """The sum along the lineage of the attempt that would be selected; from the last round on, of the selected one."""
    attempts = record.attempts
    total_B = _values(record, objective)
    by_place = np.argsort(attempts.position_B, kind="stable")
    starts = np.cumsum(np.bincount(attempts.position_B)) if len(total_B) else np.zeros(0, dtype=np.int64)
    for rows in np.split(by_place, starts[:-1]) if len(starts) else []:  # a parent's place is before its child's
        parent = attempts.parent_B[rows]
        total_B[rows] += np.where(parent >= 0, total_B[parent], 0.0)
    total_N_K = floats_at(total_B, record.best_N_K)
    final_N = floats_at(total_B, record.selected_N)
    ended = np.arange(total_N_K.shape[1]) >= (record.rounds_N - 1)[:, None]
    return np.where(ended, final_N[:, None], total_N_K)


def _differences(scaled_N_K: Floats) -> Floats:
    """Changes from round to round, from 0; a gap is bridged; NaN throughout where the end is not known."""
    reached = np.zeros((len(scaled_N_K), scaled_N_K.shape[1] + 1))
    for k in range(scaled_N_K.shape[1]):
        reached[:, k + 1] = np.where(np.isnan(scaled_N_K[:, k]), reached[:, k], scaled_N_K[:, k])
    changes: Floats = np.diff(reached, axis=1)
    if scaled_N_K.shape[1]:
        changes[np.isnan(scaled_N_K[:, -1])] = np.nan
    return changes


def _scaled(raw: Floats, objective: Objective) -> Floats:
    """As `Objective.scaled`; NaN stays NaN."""
    scaled: Floats = np.clip((raw - objective.worst) / (objective.best - objective.worst), 0.0, 1.0)
    return scaled


def _outcomes(record: Record, outcomes: Mapping[str, float | None]) -> Floats:
    ids = column(record.tables.episodes, "id").to_pylist()
    return np.array([outcomes.get(id) for id in ids], dtype=np.float64)  # None becomes NaN


def check_names(objectives: Sequence[Objective]) -> None:
    """Raise UsageError where there is nothing to measure, or two objectives share a name."""
    names = [objective.name for objective in objectives]
    if not names or len(set(names)) != len(names):
        raise UsageError(f"objectives need a name each: {', '.join(names) or 'there are none'}")
