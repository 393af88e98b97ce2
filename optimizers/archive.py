"""The archive: the true non-dominated set of all candidates seen, every objective maximised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from signatures.errors import UsageError
from signatures.records import Objective, Probability, Record

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MOST_OBJECTIVES: Final = 5
"""Beyond five axes the exact hypervolume is too slow to be reported once a generation."""
_BLOCK: Final = 64
"""Rows compared at once: few enough that most rivals are known to be on the front."""


class Entry(Record):
    """One candidate as it is compared: its vector, and how much evidence stands behind it."""

    candidate: str
    "digest of the candidate"
    vector: tuple[Probability, ...]
    "one scaled value per objective, in the archive's order"
    n: int = Field(ge=1)
    "evaluations behind the vector: tasks, and repeats of them"
    generation: int = Field(ge=0)


class Archive:
    """All entries, and which of them nothing dominates. What it holds does not depend on the order of arrival."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        """`objectives` name the axes, in the order of the vectors, with the hypervolume's reference point."""
        if not 1 <= len(objectives) <= MOST_OBJECTIVES:
            raise UsageError(f"an archive has 1 to {MOST_OBJECTIVES} objectives, not {len(objectives)}")
        self.objectives = tuple(objectives)
        self._entries: dict[str, Entry] = {}
        self._front: dict[str, Entry] = {}
        self._front_F_M: Floats = np.empty((0, len(objectives)))

    def __len__(self) -> int:
        """How many candidates were ever added, dominated ones too."""
        return len(self._entries)

    def add(self, entry: Entry) -> bool:
        """Take `entry` in; return whether its candidate is now on the front.

        A candidate measured again counts with its larger `n` and its first generation. Raises UsageError on a
        vector of the wrong length, and where one candidate has two vectors with the same `n`.
        """
        if len(entry.vector) != len(self.objectives):
            raise UsageError(f"candidate {entry.candidate}: {len(entry.vector)} values for {len(self.objectives)} axes")
        known = self._entries.get(entry.candidate)
        if known is None:
            self._entries[entry.candidate] = entry
            self._enter(entry)
        elif (merged := _merged(known, entry)) != known:
            self._entries[entry.candidate] = merged
            self._rebuild()
        return entry.candidate in self._front

    def front(self) -> tuple[Entry, ...]:
        """The non-dominated entries, best first on the first objective, then the next; equal vectors by digest."""
        return tuple(sorted(self._front.values(), key=lambda e: (*(-v for v in e.vector), e.candidate)))

    def hypervolume(self) -> float:
        """The volume that the front dominates above the objectives' reference point."""
        return hypervolume(self._front_F_M, np.array([o.reference for o in self.objectives]))

    def _enter(self, entry: Entry) -> None:
        """Only the front has to be asked: what dominates a dominated entry dominates the newcomer as well."""
        new_1_M = np.array([entry.vector])
        if _dominated(new_1_M, self._front_F_M).any():
            return
        kept = ~_dominated(self._front_F_M, new_1_M)
        self._front = {e.candidate: e for e, keep in zip(self._front.values(), kept, strict=True) if keep}
        self._front[entry.candidate] = entry
        self._front_F_M = np.vstack([self._front_F_M[kept], new_1_M])

    def _rebuild(self) -> None:
        entries = list(self._entries.values())
        values_C_M = np.array([e.vector for e in entries])
        mask_C = is_non_dominated(values_C_M)
        self._front = {e.candidate: e for e, keep in zip(entries, mask_C, strict=True) if keep}
        self._front_F_M = values_C_M[mask_C]


def _merged(known: Entry, new: Entry) -> Entry:
    if known.n == new.n and known.vector != new.vector:
        raise UsageError(f"candidate {new.candidate} has two different vectors over {new.n} tasks")
    better = new if new.n > known.n else known
    return better.model_copy(update={"generation": min(known.generation, new.generation)})


def is_non_dominated(values_C_M: Floats) -> Mask:
    """Which rows no other row dominates: at least as large everywhere and larger somewhere.

    values_C_M: `C x M`, larger is better; returns `C` booleans. Equal rows do not dominate each other. Raises
    UsageError on NaN and infinity. O(C F M) for a front of F rows.
    Source: compare botorch `utils/multi_objective/pareto.py` (there equal rows are dropped by default).
    """
    values_C_M = _checked(values_C_M)
    order_C = np.lexsort(values_C_M.T[::-1])[::-1]  # a row can only be dominated by one that sorts before it
    mask_C = np.zeros(len(values_C_M), dtype=np.bool_)
    front_F_M = values_C_M[:0]
    for start in range(0, len(order_C), _BLOCK):
        rows_B = order_C[start : start + _BLOCK]
        block_B_M = values_C_M[rows_B]
        kept_B = ~_dominated(block_B_M, np.vstack([front_F_M, block_B_M]))
        mask_C[rows_B] = kept_B
        front_F_M = np.vstack([front_F_M, block_B_M[kept_B]])
    return mask_C


def _dominated(values_C_M: Floats, rivals_R_M: Floats) -> Mask:
    """Which rows some rival dominates; column by column, which keeps the temporary tables small."""
    no_less_R_C = np.ones((len(rivals_R_M), len(values_C_M)), dtype=np.bool_)
    more_R_C = np.zeros_like(no_less_R_C)
    for axis in range(values_C_M.shape[1]):
        rival_R, value_C = rivals_R_M[:, axis, None], values_C_M[None, :, axis]
        no_less_R_C &= rival_R >= value_C
        more_R_C |= rival_R > value_C
    dominated_C: Mask = np.asarray((no_less_R_C & more_R_C).any(axis=0), dtype=np.bool_)
    return dominated_C


def hypervolume(values_C_M: Floats, reference_M: Floats) -> float:
    """The volume between `reference_M` and the rows: exact, every objective maximised.

    values_C_M: `C x M`; reference_M: `M`; M <= 5. A row that is not above the reference on every axis adds
    nothing. Raises UsageError on NaN and infinity, on shapes that do not fit and on more than five axes.
    Source: While, Bradstreet & Barone 2012, "A fast way of calculating exact hypervolumes" (exclusive volumes,
    sliced along one axis), over a base case of three axes by cumulative maxima.
    """
    values_C_M, reference_M = _checked(values_C_M), np.asarray(reference_M, dtype=np.float64)
    axes = values_C_M.shape[1]
    if reference_M.shape != (axes,) or not np.isfinite(reference_M).all():
        raise UsageError(f"the reference point needs {axes} finite numbers")
    if not 1 <= axes <= MOST_OBJECTIVES:
        raise UsageError(f"the hypervolume is computed for 1 to {MOST_OBJECTIVES} axes, not {axes}")
    edges_C_M = values_C_M - reference_M
    edges_C_M = edges_C_M[(edges_C_M > 0).all(axis=1)]
    while edges_C_M.shape[1] < 3:  # an axis on which all are 1 changes no volume
        edges_C_M = np.hstack([edges_C_M, np.ones((len(edges_C_M), 1))])
    return _volume(edges_C_M)


def _volume(edges_C_M: Floats) -> float:
    """Volume of the union of boxes [0, edges_C_M[c]], at least three axes."""
    if not len(edges_C_M):
        return 0.0
    edges_C_M = np.unique(edges_C_M, axis=0)
    edges_C_M = edges_C_M[is_non_dominated(edges_C_M)]
    if edges_C_M.shape[1] == 3:
        return _volume_3(edges_C_M)
    order = np.argsort(edges_C_M[:, -1], kind="stable")
    total = 0.0
    for position, row in enumerate(order):
        # Later boxes are at least as deep on the last axis, so what this one adds is a slice of its own depth.
        box_M = edges_C_M[row]
        shared = np.minimum(edges_C_M[order[position + 1 :], :-1], box_M[:-1])
        total += float(box_M[-1]) * (float(box_M[:-1].prod()) - _volume(shared))
    return total


def _volume_3(edges_C_3: Floats) -> float:
    """Base case: over each cell of the grid of all x and y, the height is the tallest box reaching that far."""
    by_x, by_y = np.argsort(edges_C_3[:, 0]), np.argsort(edges_C_3[:, 1])
    rank_y = np.empty_like(by_y)
    rank_y[by_y] = np.arange(len(by_y))
    height_X_Y = np.zeros((len(by_x), len(by_y)))
    height_X_Y[np.arange(len(by_x)), rank_y[by_x]] = edges_C_3[by_x, 2]
    for axis in (0, 1):
        height_X_Y = np.flip(np.maximum.accumulate(np.flip(height_X_Y, axis), axis=axis), axis)
    width_X = np.diff(edges_C_3[by_x, 0], prepend=0.0)
    width_Y = np.diff(edges_C_3[by_y, 1], prepend=0.0)
    return float(width_X @ height_X_Y @ width_Y)


def _checked(values_C_M: Floats) -> Floats:
    values_C_M = np.asarray(values_C_M, dtype=np.float64)
    if values_C_M.ndim != 2:
        raise UsageError(f"expected a table of candidates x objectives, got {values_C_M.ndim} axes")
    if not np.isfinite(values_C_M).all():
        raise UsageError("only finite values can be compared: leave an objective out that was not measured")
    return values_C_M
