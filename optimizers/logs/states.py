"""States and options of logged rounds: what every round saw, what it might have drawn, and how likely each was.

A state is what holds *before* a draw: features, legal sets and probabilities of all policies. A round that stopped
did not ask topology, one that fanned out did not ask steer; their answers are filled in (`optimizers/logs/unasked.py`),
or the options of a state would tell which of them was drawn. Axes beside those of CONTRIBUTING.md: R rounds of all
episodes in a row, P the three policies; U, G, W as in `optimizers/logs/tabled.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from controllers.moves import MAX_FANOUT
from optimizers.episode_log import Option
from optimizers.logs.rounds import STEER, STOP, TOPOLOGY, Record, Rounds
from optimizers.logs.tabled import Answers, Floats, Hashes, Indices, coded, column, floats, floats_at, hashed, mixed
from optimizers.logs.unasked import Filler, LegalSets, common

FEATURE = "feature."


class States(NamedTuple):
    """The distinct states, their options, and which option each round drew."""

    features: tuple[str, ...]
    features_S_F: Floats
    actions: tuple[Option, ...]
    state_L: Indices
    action_L: Indices
    behaviour_L: Floats
    option_R: Indices
    propensity_R: Floats


@dataclass(frozen=True)
class Seen:
    """What each round saw and was answered, unasked policies included."""

    features_R: Hashes
    legal_R_P: Indices
    answer_R_P: Indices
    place_R_P: Indices
    "of what was drawn in its legal set; -1: the policy had no say"
    answers: Answers


class _Shape(NamedTuple):
    """The options that three legal sets make: the places of each in them, and whether it could be drawn at all."""

    options: tuple[Option, ...]
    places: Indices
    known: Floats
    "1, or 0 where the record does not show that it was possible"


def states_of(record: Record, rounds: Rounds, *, each_round: bool = False) -> States:
    """The states of these rounds, in an order that their content alone decides.

    `each_round`: every round is a state of its own, in the order of rounds, as policies need that are shown more
    than features.
    """
    table, drawn = record.tables.decisions, record.decisions
    names = tuple(sorted(name for name in table.column_names if name.startswith(FEATURE)))
    rows_R = np.where(rounds.first_R >= 0, np.append(drawn.row_D, -1)[rounds.first_R], -1)
    seen = _seen(record, rounds, _feature_hashes(record, names, rows_R))
    R = len(rows_R)
    if each_round:
        first_S, state_R = np.arange(R), np.arange(R)
    else:
        whole = hashed(seen.features_R.view(np.int64), *seen.answer_R_P.T, *seen.legal_R_P.T)
        _, first_S, state_R = np.unique(whole, return_index=True, return_inverse=True)
    features_S_F = np.empty((len(first_S), len(names)))
    for f, name in enumerate(names):
        features_S_F[:, f] = floats_at(floats(table, name), rows_R[first_S])
    plain = tuple(name.removeprefix(FEATURE) for name in names)
    chance_R_P = np.where(rounds.decision_R_P >= 0, floats_at(drawn.propensity_D, rounds.decision_R_P), 1.0)
    propensity_R = chance_R_P[:, STOP] * chance_R_P[:, TOPOLOGY] * chance_R_P[:, STEER]
    actions, state_L, action_L, behaviour_L, option_R = _options(seen, first_S, state_R)
    return States(plain, features_S_F, actions, state_L, action_L, behaviour_L, option_R, propensity_R)


def _feature_hashes(record: Record, names: tuple[str, ...], rows_R: Indices) -> Hashes:
    hashes = np.full(len(rows_R), len(names), dtype=np.uint64)
    for name in names:
        values = floats_at(floats(record.tables.decisions, name), rows_R)
        hashes = mixed(hashes, np.where(np.isnan(values), np.nan, values))
    return hashes


def _seen(record: Record, rounds: Rounds, features_R: Hashes) -> Seen:
    """Fill in what was not asked: first legal sets, then answers."""
    drawn, ids = record.decisions, rounds.decision_R_P
    answers, asked = drawn.answers, ids >= 0
    answer_R_P = np.where(asked, np.append(drawn.answer_D, -1)[ids], -1)
    place_R_P = np.where(asked, np.append(drawn.place_D, -1)[ids], -1)
    legal_R_P = np.where(asked, np.append(answers.legal_U, -1)[answer_R_P], -1)
    sets = LegalSets.of(answers)
    controller_R = _controllers(record)[rounds.episode_R]
    _fill_topology(record, rounds, legal_R_P, place_R_P, sets)
    _fill_steer(record, rounds, legal_R_P, place_R_P, sets, controller_R)
    filler = Filler(sets.extended(answers), controller_R)
    for policy in (TOPOLOGY, STEER):
        given = hashed(features_R.view(np.int64), legal_R_P[:, policy])
        if policy == TOPOLOGY:
            given = mixed(given, answer_R_P[:, STOP])
        answer_R_P[:, policy] = filler.filled(legal_R_P[:, policy], answer_R_P[:, policy], given)
    return Seen(features_R, legal_R_P, answer_R_P, place_R_P, filler.answers)


def _fill_topology(record: Record, rounds: Rounds, legal_R_P: Indices, place_R_P: Indices, sets: LegalSets) -> None:
    """What `controllers/moves.py` allows: the one fresh attempt of a first round, and after `done` what was left."""
    forced = np.flatnonzero(rounds.first_R < 0)
    legal_R_P[forced, TOPOLOGY] = sets.of_names(("fanout_1",))
    place_R_P[forced, TOPOLOGY] = 0
    table, name = record.tables.decisions, "feature.attempts_left"
    stopped = np.flatnonzero((rounds.first_R >= 0) & (legal_R_P[:, TOPOLOGY] < 0))
    if name not in table.column_names or not len(stopped):
        return
    left_R = floats(table, name)[record.decisions.row_D[rounds.first_R[stopped]]]
    fan_R = np.clip(np.nan_to_num(left_R), 0, MAX_FANOUT).astype(np.int64)
    n, k = rounds.episode_R[stopped], rounds.round_R[stopped]
    made_R = record.attempts_N_K[n, k]
    best_R = record.best_N_K[n, k]
    is_last_R = record.attempts.position_B[best_R] == made_R - 1
    for fan in range(1, MAX_FANOUT + 1):
        for is_last in (False, True):
            rows = stopped[(fan_R == fan) & (is_last_R == is_last)]
            if len(rows):
                refines = ("refine_last",) if is_last else ("refine_last", "refine_best")
                fanouts = tuple(f"fanout_{m}" for m in range(1, fan + 1))
                legal_R_P[rows, TOPOLOGY] = sets.of_names(refines + fanouts)


def _fill_steer(
    record: Record, rounds: Rounds, legal_R_P: Indices, place_R_P: Indices, sets: LegalSets, controller_R: Indices
) -> None:
    """A refine without a draw had one steer, the attempt's own; other rounds had what their episode's refines had.

    Where the episode never refined: what its controller's most often had, then what any had. -1 where none did.
    """
    refinable = np.array([any(name.startswith("refine_") for name in one) for one in sets.names] + [False])
    has_parent = np.append(record.attempts.parent_B, -1)[rounds.attempt_R] >= 0
    forced = np.flatnonzero(has_parent & (legal_R_P[:, STEER] < 0))
    for action in np.unique(record.attempts.action_B[rounds.attempt_R[forced]]):
        rows = forced[record.attempts.action_B[rounds.attempt_R[forced]] == action]
        legal_R_P[rows, STEER] = sets.of_names((record.attempts.names[action],))
    place_R_P[forced, STEER] = 0
    wanted = refinable[legal_R_P[:, TOPOLOGY]]
    for key_R in (rounds.episode_R, controller_R, np.zeros_like(controller_R)):
        found = common(key_R, legal_R_P[:, STEER])
        legal_R_P[:, STEER] = np.where((legal_R_P[:, STEER] < 0) & wanted, found, legal_R_P[:, STEER])


def _controllers(record: Record) -> Indices:
    """A number for each distinct condition and candidate."""
    codes = [coded(column(record.tables.episodes, name))[0] for name in ("condition", "candidate")]
    numbers: Indices = np.unique(hashed(*codes), return_inverse=True)[1].astype(np.int64)
    return numbers


def _options(
    seen: Seen, first_S: Indices, state_R: Indices
) -> tuple[tuple[Option, ...], Indices, Indices, Floats, Indices]:
    """Actions, state, action and probability of each option, and the option that each round drew."""
    legal_S_P, answer_S_P = seen.legal_R_P[first_S], seen.answer_R_P[first_S]
    _, first, kind_S = np.unique(hashed(*legal_S_P.T), return_index=True, return_inverse=True)
    shapes = [_shape(*(seen.answers.legal_names(int(legal)) for legal in kind)) for kind in legal_S_P[first]]
    actions = tuple(sorted({o for shape in shapes for o in shape.options}, key=lambda o: tuple(x or "" for x in o)))
    code = {option: n for n, option in enumerate(actions)}
    size_S = np.array([len(shape.options) for shape in shapes], dtype=np.int64)[kind_S]
    end_S = np.cumsum(size_S)
    begin_S = end_S - size_S
    L = int(end_S[-1]) if len(end_S) else 0
    action_L, behaviour_L = np.zeros(L, dtype=np.int64), np.zeros(L)
    option_R = np.full(len(state_R), -1, dtype=np.int64)
    share = seen.answers.share_U_W
    for number, shape in enumerate(shapes):
        states = np.flatnonzero(kind_S == number)
        at = begin_S[states][:, None] + np.arange(len(shape.options))
        action_L[at] = np.array([code[option] for option in shape.options])
        stop, topology, steer = (share[answer_S_P[states, p][:, None], shape.places[:, p]] for p in range(3))
        behaviour_L[at] = stop * topology * steer * shape.known
        rows = np.flatnonzero(kind_S[state_R] == number)
        width = max((len(one) for one in seen.answers.legal_G), default=0) + 2
        drawn = _flat(seen.place_R_P[rows], width)
        listed = _flat(shape.places, width)
        order = np.argsort(listed)
        option_R[rows] = begin_S[state_R[rows]] + order[np.searchsorted(listed[order], drawn)]
    return actions, np.repeat(np.arange(len(first_S)), size_S), action_L, behaviour_L, option_R


def _flat(places: Indices, width: int) -> Indices:
    return ((places[:, 0] + 1) * width + places[:, 1] + 1) * width + places[:, 2] + 1


def _shape(stop: tuple[str, ...] | None, topology: tuple[str, ...] | None, steer: tuple[str, ...] | None) -> _Shape:
    """All options in the order stop, topology, steer. What is not known to have been possible is not `known`."""
    found: list[tuple[Option, tuple[int, int, int], float]] = []
    for i, going in enumerate(stop or (None,)):
        at = i if stop else -1
        if going == "done":
            found.append((Option("done"), (at, -1, -1), 1.0))
            continue
        if topology is None:
            found.append((Option(going), (at, -1, -1), 0.0))
            continue
        for j, move in enumerate(topology):
            if not move.startswith("refine_"):
                found.append((Option(going, move), (at, j, -1), 1.0))
            elif steer is None:
                found.append((Option(going, move), (at, j, -1), 0.0))
            else:
                found += [(Option(going, move, name), (at, j, k), 1.0) for k, name in enumerate(steer)]
    places = np.array([place for _, place, _ in found], dtype=np.int64)
    return _Shape(tuple(o for o, _, _ in found), places, np.array([known for _, _, known in found]))
