"""Tables of a corpus as sorted arrays: episodes, and their attempts and decisions in the order they happened.

Axes of this module: N episodes (rows as in the table), B attempts, D decisions, both sorted by episode and then by
place in it; U distinct answers (a legal set with its probabilities), G distinct legal sets, W places in a legal set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from signatures.errors import UsageError
from signatures.records import PolicyName

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]

POLICIES: Final[tuple[PolicyName, ...]] = get_args(PolicyName)
"""In the order in which a round draws."""
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_HALF: Final = np.uint64(32)


class Tables(NamedTuple):
    """The corpus as Arrow tables; `controllers/corpus/columns.py` says what the columns are."""

    attempts: pa.Table
    decisions: pa.Table
    episodes: pa.Table


def column(table: pa.Table, name: str) -> pa.Array:
    """One column in one piece. Raises UsageError where the table has none of that name."""
    if name not in table.column_names:
        raise UsageError(f"the table has no column {name!r}; it has {', '.join(table.column_names)}")
    return table[name].combine_chunks()


def floats(table: pa.Table, name: str) -> Floats:
    """A column of numbers or flags; NaN where it is null."""
    import pyarrow as pa

    values: Floats = column(table, name).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def integers(table: pa.Table, name: str) -> Indices:
    """A column of whole numbers; -1 where it is null."""
    values: Indices = column(table, name).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return values


def coded(values: pa.Array) -> tuple[Indices, tuple[str, ...]]:
    """Texts as indices into their sorted names; -1 where null."""
    import pyarrow as pa

    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    words = values.dictionary.to_pylist()
    names = sorted({word for word in words if word is not None})
    place = {name: n for n, name in enumerate(names)}
    code_of = np.array([*(place.get(word, -1) for word in words), -1], dtype=np.int64)
    return code_of[values.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)], tuple(names)


def index_in(values: pa.Array, among: pa.Array) -> Indices:
    """The place of each text in `among`; -1 where it is null or not there."""
    import pyarrow.compute as pc

    found = pc.index_in(values, value_set=among, skip_nulls=True)
    places: Indices = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return places


def mixed(seed: Hashes, values: Floats | Indices) -> Hashes:
    """`seed` with one more 64-bit column mixed in: equal columns give equal hashes.

    Different ones collide with a chance of 2**-64 a pair: 1e-8 in a million rows.
    """
    plain = values + np.zeros(1, dtype=values.dtype)  # which makes 0.0 of -0.0
    hashes: Hashes = (seed ^ plain.view(np.uint64)) * _ODD
    hashes ^= hashes >> _HALF
    return hashes * _ODD


def hashed(*columns: Floats | Indices) -> Hashes:
    """A hash of each row of these columns."""
    seed = np.full(len(columns[0]), len(columns), dtype=np.uint64)
    for values in columns:
        seed = mixed(seed, values)
    return seed


@dataclass(frozen=True)
class Answers:
    """Distinct answers of policies. Row -1 of `share_U_W` is what a policy that had no say counts for: 1."""

    names: tuple[str, ...]
    "the actions"
    legal_G: tuple[tuple[int, ...], ...]
    "legal sets, as indices into `names` in the order they were shown"
    legal_U: Indices
    share_U_W: Floats
    "probability of each place of the legal set, 0 beyond it; one row and one column more than there are, of ones"

    def legal_names(self, legal: int) -> tuple[str, ...] | None:
        """The actions of a legal set, in order; None for -1."""
        return None if legal < 0 else tuple(self.names[code] for code in self.legal_G[legal])


@dataclass(frozen=True)
class Decisions:
    """Draws, sorted by episode and step."""

    episode_D: Indices
    step_D: Indices
    policy_D: Indices
    "index into `POLICIES`"
    place_D: Indices
    "of the drawn action in its legal set; -1 where it is not in it"
    answer_D: Indices
    propensity_D: Floats
    row_D: Indices
    "in the table of decisions"
    answers: Answers

    @cached_property
    def position_D(self) -> Indices:
        """Place among the decisions of the episode."""
        return position(self.episode_D)

    @cached_property
    def round_D(self) -> Indices:
        """The round: each begins with a draw of stop, but for the first, which has none."""
        stops = np.cumsum(self.policy_D == 0)
        first = np.arange(len(stops)) - self.position_D
        before = stops[first] - (self.policy_D[first] == 0) if len(stops) else stops
        rounds: Indices = stops - before
        return rounds

    @cached_property
    def action_D(self) -> Indices:
        """What was drawn, as an index into the names of actions; -1 where it was not legal."""
        legal_G_W = padded(self.answers.legal_G)
        found: Indices = legal_G_W[self.answers.legal_U[self.answer_D], self.place_D]
        return np.where(self.place_D >= 0, found, -1)


@dataclass(frozen=True)
class Attempts:
    """Attempts, sorted by episode and index."""

    episode_B: Indices
    round_B: Indices
    parent_B: Indices
    "row of the parent here, -1 for a fresh one"
    infra_B: Mask
    action_B: Indices
    "of its steer, an index into `names`"
    names: tuple[str, ...]
    row_B: Indices
    "in the table of attempts"

    @cached_property
    def position_B(self) -> Indices:
        """Place among the attempts of the episode."""
        return position(self.episode_B)


def position(episode: Indices) -> Indices:
    """Of rows sorted by episode: the place of each in its episode."""
    rows = np.arange(len(episode))
    first = np.where(np.diff(episode, prepend=-1) != 0, rows, 0)
    return rows - np.maximum.accumulate(first) if len(rows) else rows


def padded(legal: Sequence[tuple[int, ...]]) -> Indices:
    """Legal sets as rows of one width, -1 beyond their ends, and one column of -1 more."""
    width = max((len(one) for one in legal), default=0) + 1
    return np.array([[*one, *[-1] * (width - len(one))] for one in legal], dtype=np.int64).reshape(-1, width)


def attempts_of(table: pa.Table, episode_ids: pa.Array) -> Attempts:
    """The attempts of these episodes."""
    episode = index_in(column(table, "episode_id"), episode_ids)
    rows = _sorted_rows(episode, integers(table, "index"))
    back = np.full(len(episode) + 1, -1, dtype=np.int64)  # row in the table -> row here; -1 stays -1
    back[rows] = np.arange(len(rows))
    parent = back[index_in(column(table, "parent_id"), column(table, "id"))[rows]]
    inside = (parent >= 0) & (episode[rows[parent]] == episode[rows]) if len(rows) else parent >= 0
    action, names = coded(column(table, "action"))
    outcome, outcomes = coded(column(table, "outcome"))
    return Attempts(
        episode_B=episode[rows],
        round_B=integers(table, "round")[rows],
        parent_B=np.where(inside, parent, -1),
        infra_B=np.isin(outcome, [n for n, name in enumerate(outcomes) if name == "infra_error"])[rows],
        action_B=action[rows],
        names=names,
        row_B=rows,
    )


def decisions_of(table: pa.Table, episode_ids: pa.Array) -> Decisions:
    """The decisions of these episodes. Raises UsageError for a policy that there is not."""
    episode = index_in(column(table, "episode_id"), episode_ids)
    step = integers(table, "step")
    rows = _sorted_rows(episode, step)
    policy, policies = coded(column(table, "policy"))
    if unknown := set(policies) - set(POLICIES):
        raise UsageError(f"no policy is called {sorted(unknown)[0]!r}; there are {', '.join(POLICIES)}")
    number = np.array([POLICIES.index(name) for name in policies], dtype=np.int64)
    place, answer, answers = _answers(table, rows)
    return Decisions(
        episode_D=episode[rows],
        step_D=step[rows],
        policy_D=number[policy[rows]] if len(rows) else rows,
        place_D=place,
        answer_D=answer,
        propensity_D=floats(table, "propensity")[rows],
        row_D=rows,
        answers=answers,
    )


def _sorted_rows(episode: Indices, within: Indices) -> Indices:
    """The rows of known episodes, by episode and then by their place in it."""
    rows = np.flatnonzero(episode >= 0)
    span = int(within.max(initial=0)) + 2
    return rows[np.argsort(episode[rows] * span + within[rows], kind="stable")]


def _answers(table: pa.Table, rows: Indices) -> tuple[Indices, Indices, Answers]:
    """Per decision the place of its action and its answer; and the distinct answers."""
    import pyarrow as pa

    legal, shares = column(table, "legal"), column(table, "probabilities")
    flat, words = coded(legal.flatten())
    ends = np.cumsum(legal.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
    action = index_in(column(table, "action").cast(pa.string()), pa.array(words, pa.string()))[rows]
    chance = shares.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    if len(chance) != len(flat):
        raise UsageError("decisions: a legal set and its probabilities differ in length")
    size = np.diff(ends, prepend=0)[rows]
    first = ends[rows] - size
    width = int(size.max(initial=0))
    legal_D_W = np.full((len(rows), width + 1), -1, dtype=np.int64)
    share_D_W = np.zeros((len(rows), width + 1))
    for place in range(width):
        there = np.flatnonzero(size > place)
        legal_D_W[there, place] = flat[first[there] + place]
        share_D_W[there, place] = np.nan_to_num(chance[first[there] + place])
    hit = (legal_D_W == action[:, None]) & (action >= 0)[:, None]
    place_D = np.where(hit.any(axis=1), hit.argmax(axis=1), -1)
    _, legal_first, legal_of = np.unique(hashed(*legal_D_W.T), return_index=True, return_inverse=True)
    _, answer_first, answer = np.unique(
        hashed(legal_of, *share_D_W[:, :width].T), return_index=True, return_inverse=True
    )
    legal_G = tuple(tuple(int(code) for code in legal_D_W[row] if code >= 0) for row in legal_first)
    answers = Answers(words, legal_G, legal_of[answer_first].astype(np.int64), with_ones(share_D_W[answer_first]))
    return place_D.astype(np.int64), answer.astype(np.int64), answers


def with_ones(share_U_W: Floats) -> Floats:
    """The rows with their last column set to 1, and a row of ones below: what index -1 reads."""
    whole = np.vstack([share_U_W, np.ones((1, share_U_W.shape[1]))])
    whole[:, -1] = 1.0
    return whole


def floats_at(values: Floats, rows: Indices) -> Floats:
    """The values at these rows; NaN for row -1."""
    return np.append(values, np.nan)[rows]
