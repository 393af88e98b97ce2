"""From a corpus to arrays: logged episodes with their states, options, propensities and rewards.

Rows of the journal become tables (`tables_of`, or sealed segments), tables become an `EpisodeLog`. All of it is
arithmetic on columns: an episode, a decision or an attempt is never a Python object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from controllers import Corpus
from controllers.corpus.columns import table_of
from optimizers.episode_log import EpisodeLog
from optimizers.logs.rewards import check_names, rewards_of, unknown
from optimizers.logs.rounds import Record, incomplete, infrastructure, record_of, rounds_of, unrecorded
from optimizers.logs.states import states_of
from optimizers.logs.tabled import Floats, Mask, Tables, coded, column
from signatures.records import Attempt, Decision, Episode, Objective, Split

__all__ = ["Logged", "Tables", "episode_log", "logged", "tables_of"]


class Logged(NamedTuple):
    """A log, and which episode each of its N rows is."""

    log: EpisodeLog
    episode_ids: tuple[str, ...]


async def tables_of(corpus: Corpus, *, until: int | None = None) -> Tables:
    """All records up to the mark `until`, or to now, as tables, for a corpus without segments. Raises StoreError."""
    mark = await corpus.high_water() if until is None else until
    return Tables(
        table_of("attempts", [record async for record in corpus.scan(Attempt, until=mark)]),
        table_of("decisions", [record async for record in corpus.scan(Decision, until=mark)]),
        table_of("episodes", [record async for record in corpus.scan(Episode, until=mark)]),
    )


def episode_log(
    tables: Tables,
    outcomes: Mapping[str, float | None],
    objectives: Sequence[Objective],
    *,
    split: Split = "search",
    each_round: bool = False,
) -> EpisodeLog:
    """The logged episodes of a split as arrays. `outcomes`: episode id -> the judge's number.

    Left out and counted, by the first reason that holds:

    - `infrastructure`: it ended the episode or one of its attempts;
    - `incomplete`: the tables lack attempts that the episode names;
    - `no propensities`: something was chosen without a draw on record, as where a plan grew a tree;
    - `unmeasured`: nothing was selected, or a checker value is missing that an objective needs;
    - `unjudged`: an objective is the judge's and it said nothing.

    A move without an alternative is an option of probability 1. `each_round` makes every round a state of its own,
    for policies that are shown more than features (`optimizers/replay/views.py`).
    Raises UsageError for tables without a column that is needed, or objectives without a name each.
    """
    return logged(tables, outcomes, objectives, split=split, each_round=each_round).log


def logged(
    tables: Tables,
    outcomes: Mapping[str, float | None],
    objectives: Sequence[Objective],
    *,
    split: Split = "search",
    each_round: bool = False,
) -> Logged:
    """As `episode_log`, with the ids of the episodes."""
    check_names(objectives)
    record = record_of(tables, split)
    left_out: dict[str, int] = {}
    for reason, found in (
        ("infrastructure", infrastructure),
        ("incomplete", incomplete),
        ("no propensities", unrecorded),
        ("unmeasured", _without_selection),
    ):
        record = _without(record, reason, found(record), left_out)
    rewards_N_K_M = rewards_of(record, outcomes, objectives)
    for reason, judged in (("unmeasured", False), ("unjudged", True)):
        bad_N = unknown(rewards_N_K_M, objectives, judged=judged)
        record, rewards_N_K_M = _without(record, reason, bad_N, left_out), rewards_N_K_M[~bad_N]
    log = _log(record, rewards_N_K_M, objectives, left_out, each_round=each_round)
    return Logged(log, tuple(column(record.tables.episodes, "id").to_pylist()))


def _without_selection(record: Record) -> Mask:
    nothing: Mask = record.selected_N < 0
    return nothing


def _without(record: Record, reason: str, bad_N: Mask, left_out: dict[str, int]) -> Record:
    if not bad_N.any():
        return record
    left_out[reason] = left_out.get(reason, 0) + int(bad_N.sum())
    return record.take(~bad_N)


def _log(
    record: Record,
    rewards_N_K_M: Floats,
    objectives: Sequence[Objective],
    left_out: Mapping[str, int],
    *,
    each_round: bool,
) -> EpisodeLog:
    rounds = rounds_of(record)
    states = states_of(record, rounds, each_round=each_round)
    task_N, tasks = coded(column(record.tables.episodes, "task_digest"))
    present = np.unique(task_N)
    shape = (record.n, int(record.rounds_N.max(initial=0)))
    option_N_K, propensity_N_K = np.full(shape, -1, dtype=np.int32), np.ones(shape)
    option_N_K[rounds.episode_R, rounds.round_R] = states.option_R
    propensity_N_K[rounds.episode_R, rounds.round_R] = states.propensity_R
    return EpisodeLog(
        objectives=tuple(objective.name for objective in objectives),
        tasks=tuple(tasks[n] for n in present),
        features=states.features,
        actions=states.actions,
        task_N=_int32(np.searchsorted(present, task_N)),
        option_N_K=option_N_K,
        propensity_N_K=propensity_N_K,
        rewards_N_K_M=np.ascontiguousarray(rewards_N_K_M[:, : shape[1]]),
        state_L=_int32(states.state_L),
        action_L=_int32(states.action_L),
        behaviour_L=states.behaviour_L,
        features_S_F=states.features_S_F,
        left_out=left_out,
    )


def _int32(values: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    return values.astype(np.int32)
