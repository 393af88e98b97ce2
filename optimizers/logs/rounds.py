"""Rounds of logged episodes: which episodes have every draw on record, and which draws and attempts make each round.

Axes beside those of CONTRIBUTING.md: B attempts and D decisions as in `optimizers/logs/tabled.py`, R rounds of all
episodes in a row, P the three policies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from optimizers.logs.tabled import (
    Attempts,
    Decisions,
    Indices,
    Mask,
    Tables,
    attempts_of,
    coded,
    column,
    decisions_of,
    floats,
    index_in,
    integers,
)
from signatures.records import Split

STOP, TOPOLOGY, STEER = range(3)


@dataclass(frozen=True)
class Record:
    """Episodes of one split with their attempts and decisions."""

    tables: Tables
    "`tables.episodes` has exactly the N episodes"
    attempts: Attempts
    decisions: Decisions

    @property
    def n(self) -> int:
        """Episodes."""
        return int(self.tables.episodes.num_rows)

    @cached_property
    def attempt_rounds_N(self) -> Indices:
        """Rounds that launched attempts."""
        return _last(self.attempts.episode_B, self.attempts.round_B, self.n, none=-1) + 1

    @cached_property
    def done_N(self) -> Mask:
        """Whether the last draw was to stop."""
        done = (self.decisions.policy_D == STOP) & (self.decisions.action_D == self._code("done"))
        ended: Mask = _last(self.decisions.episode_D, done.astype(np.int64), self.n, none=0) == 1
        return ended

    @cached_property
    def rounds_N(self) -> Indices:
        """All rounds: a stop is one without attempts."""
        return self.attempt_rounds_N + self.done_N

    @cached_property
    def attempts_N_K(self) -> Indices:
        """Attempts of the episode made up to and including each round."""
        made = np.zeros((self.n, int(self.rounds_N.max(initial=0))), dtype=np.int64)
        np.add.at(made, (self.attempts.episode_B, self.attempts.round_B), 1)
        return made.cumsum(axis=1)

    @cached_property
    def selected_N(self) -> Indices:
        """The row of each episode's selected attempt; -1 where it selected none that is recorded."""
        ids = column(self.tables.attempts, "id").take(self.attempts.row_B)
        return index_in(column(self.tables.episodes, "selected_id"), ids)

    @cached_property
    def best_N_K(self) -> Indices:
        """The attempt that `controllers/selector.py` would select after each round, none being infrastructure's."""
        attempts, made_N_K = self.attempts, self.attempts_N_K
        if not len(attempts.row_B):
            return np.full(made_N_K.shape, -1, dtype=np.int64)
        order = _ranking(attempts, self.tables)
        rank_B = np.empty(len(order), dtype=np.int64)
        rank_B[order] = np.arange(len(order))
        best_N_P = np.full((self.n, int(made_N_K.max(initial=0)) + 1), len(order), dtype=np.int64)
        best_N_P[attempts.episode_B, attempts.position_B + 1] = rank_B
        best_N_P = np.minimum.accumulate(best_N_P, axis=1)
        return np.append(order, -1)[np.take_along_axis(best_N_P, made_N_K, axis=1)]

    def take(self, kept_N: Mask) -> Record:
        """The record of these episodes alone, in the same order."""
        renumbered = np.cumsum(kept_N) - 1
        kept_B, kept_D = kept_N[self.attempts.episode_B], kept_N[self.decisions.episode_D]
        parent_B = np.where(self.attempts.parent_B >= 0, (np.cumsum(kept_B) - 1)[self.attempts.parent_B], -1)
        attempts = replace(
            self.attempts,
            episode_B=renumbered[self.attempts.episode_B[kept_B]],
            round_B=self.attempts.round_B[kept_B],
            parent_B=parent_B[kept_B],
            infra_B=self.attempts.infra_B[kept_B],
            action_B=self.attempts.action_B[kept_B],
            row_B=self.attempts.row_B[kept_B],
        )
        had = self.decisions
        decisions = replace(
            had,
            episode_D=renumbered[had.episode_D[kept_D]],
            step_D=had.step_D[kept_D],
            policy_D=had.policy_D[kept_D],
            place_D=had.place_D[kept_D],
            answer_D=had.answer_D[kept_D],
            propensity_D=had.propensity_D[kept_D],
            row_D=had.row_D[kept_D],
        )
        episodes = self.tables.episodes.filter(kept_N)
        return Record(self.tables._replace(episodes=episodes), attempts, decisions)

    def _code(self, action: str) -> int:
        names = self.decisions.answers.names
        return names.index(action) if action in names else -2


@dataclass(frozen=True)
class Rounds:
    """Every round of every episode, in order."""

    episode_R: Indices
    round_R: Indices
    decision_R_P: Indices
    "the draw of each policy, -1 where it drew nothing"
    attempt_R: Indices
    "the first attempt that was launched, -1 for a stop"

    @cached_property
    def first_R(self) -> Indices:
        """The round's first draw: all draws of a round saw the same features. -1: nothing was drawn."""
        stop, topology = self.decision_R_P[:, STOP], self.decision_R_P[:, TOPOLOGY]
        return np.where(stop >= 0, stop, topology)


def record_of(tables: Tables, split: Split) -> Record:
    """The episodes of one split."""
    codes, names = coded(column(tables.episodes, "split"))
    episodes = tables.episodes.filter(codes == names.index(split)) if split in names else tables.episodes.slice(0, 0)
    ids = column(episodes, "id")
    found = Tables(tables.attempts, tables.decisions, episodes)
    return Record(found, attempts_of(tables.attempts, ids), decisions_of(tables.decisions, ids))


def infrastructure(record: Record) -> Mask:
    """Which episodes infrastructure ended, or have an attempt that it ended."""
    failed_N: Mask = floats(record.tables.episodes, "failed") == 1
    failed_N[record.attempts.episode_B[record.attempts.infra_B]] = True
    return failed_N


def incomplete(record: Record) -> Mask:
    """Which episodes name attempts that the table of attempts lacks."""
    made = np.bincount(record.attempts.episode_B, minlength=record.n)
    position, round_B = record.attempts.position_B, record.attempts.round_B
    opens = np.where(position == 0, round_B == 0, np.diff(round_B, prepend=0) <= 1)
    ordered = np.bincount(record.attempts.episode_B[~opens], minlength=record.n) == 0
    lacking: Mask = (made != _listed(record, "attempts")) | ~ordered
    return lacking


def unrecorded(record: Record) -> Mask:
    """Which episodes had a choice that nothing drew on record.

    A draw takes the next step, so steps from 0 without a gap show that no draw is missing: what is not among them had
    no alternative. An episode that a plan grew has attempts after which nothing was drawn, or a first round with an
    alternative (more attempts left than one) and no draw.
    """
    drawn = record.decisions
    bad_D = (drawn.step_D != drawn.position_D) | (drawn.place_D < 0) | ~_follows(record)
    bad_N: Mask = np.bincount(drawn.episode_D[bad_D], minlength=record.n) > 0
    bad_N |= np.bincount(drawn.episode_D, minlength=record.n) != _listed(record, "decisions")
    stops = np.bincount(drawn.episode_D[drawn.policy_D == STOP], minlength=record.n)
    bad_N |= stops != np.maximum(record.attempt_rounds_N - 1, 0) + record.done_N
    return bad_N | _first_round_unrecorded(record)


def rounds_of(record: Record) -> Rounds:
    """The rounds of episodes with every draw on record."""
    K = int(record.rounds_N.max(initial=0))
    decision = np.full((record.n, K, 3), -1, dtype=np.int64)
    drawn = record.decisions
    decision[drawn.episode_D, drawn.round_D, drawn.policy_D] = np.arange(len(drawn.policy_D))
    attempt = np.full((record.n, K), -1, dtype=np.int64)
    rows = np.arange(len(record.attempts.episode_B))[::-1]  # the round's first attempt is written last
    attempt[record.attempts.episode_B[rows], record.attempts.round_B[rows]] = rows
    n, k = np.nonzero(np.arange(K) < record.rounds_N[:, None])
    return Rounds(n, k, decision[n, k], attempt[n, k])


def _follows(record: Record) -> Mask:
    """Which draws may come after the one before: stop; topology after `continue` or first; steer after a refine."""
    drawn = record.decisions
    if not len(drawn.policy_D):
        return np.zeros(0, dtype=bool)
    refines = [n for n, name in enumerate(drawn.answers.names) if name.startswith("refine_")]
    opening = drawn.position_D == 0
    policy, before = drawn.policy_D, np.roll(drawn.policy_D, 1)
    went_on = (before == STOP) & (np.roll(drawn.action_D, 1) == record._code("continue"))
    refined = (before == TOPOLOGY) & np.isin(np.roll(drawn.action_D, 1), refines)
    return np.select(
        [policy == STOP, policy == TOPOLOGY],
        [opening | (before != STOP), opening | went_on],
        refined & ~opening,
    )


def _first_round_unrecorded(record: Record) -> Mask:
    """Which episodes launched their first round without a draw although it had an alternative.

    The only move without one is a single fresh attempt with one attempt left. Attempts left follow from the grant of
    attempts; where turns are granted too they may be fewer, as what was left afterwards, or nothing, shows.
    """
    drawn, episodes, N = record.decisions, record.tables.episodes, record.n
    opening = np.flatnonzero(drawn.position_D == 0)
    drew_N, left_N = np.zeros(N, dtype=bool), np.full(N, np.nan)
    drew_N[drawn.episode_D[opening[drawn.policy_D[opening] == TOPOLOGY]]] = True
    if "feature.attempts_left" in record.tables.decisions.column_names:
        left = floats(record.tables.decisions, "feature.attempts_left")
        left_N[drawn.episode_D[opening]] = left[drawn.row_D[opening]]
    single = np.bincount(record.attempts.episode_B[record.attempts.round_B == 0], minlength=N) == 1
    turns, spent = integers(episodes, "granted_turns"), integers(episodes, "spent_turns")
    by_turns = (turns >= 0) & np.where(np.isnan(left_N), spent >= turns, left_N < 2)
    forced = single & ((integers(episodes, "granted_attempts") == 1) | by_turns)
    unrecorded_N: Mask = (record.attempt_rounds_N > 0) & ~drew_N & ~forced
    return unrecorded_N


def _listed(record: Record, name: str) -> Indices:
    """How many ids each episode lists."""
    lengths: Indices = column(record.tables.episodes, name).value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return lengths.astype(np.int64)


def _last(episode: Indices, values: Indices, n: int, *, none: int) -> Indices:
    """The value of each episode's last row; `none` where it has no row."""
    last = np.full(n, none, dtype=np.int64)
    last[episode] = values  # the last of equal indices is the one that stays
    return last


def _ranking(attempts: Attempts, tables: Tables) -> Indices:
    """The attempts from best to worst, as the selector ranks: correct, checkers passed, money, turns, earlier."""
    table, rows = tables.attempts, attempts.row_B
    correct = -floats(table, "value.correct")[rows] if "value.correct" in table.column_names else np.zeros(len(rows))
    flags = [name for name in table.column_names if name.startswith("passed.")]
    passed = np.zeros(len(rows))
    for name in flags:
        passed -= np.nan_to_num(floats(table, name)[rows])
    usd, turns = floats(table, "usd")[rows], floats(table, "turns")[rows]
    keys = [np.where(np.isnan(key), np.inf, key) for key in (turns, usd, passed, correct)]
    ranking: Indices = np.lexsort((attempts.position_B, *keys))
    return ranking
