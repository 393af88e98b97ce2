from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from optimizers.archive import Archive, Entry, hypervolume, is_non_dominated
from signatures.errors import UsageError
from signatures.records import Objective

COARSE = st.integers(0, 4).map(lambda step: step / 4)
"Few distinct values, so that ties and equal rows are common."


def axes(count: int, reference: float = 0.0) -> tuple[Objective, ...]:
    return tuple(
        Objective(name=f"o{i}", unit="share", worst=0.0, best=1.0, over="judge", reference=reference)
        for i in range(count)
    )


def entry(name: str, *vector: float, n: int = 10, generation: int = 0) -> Entry:
    return Entry(candidate=name, vector=vector, n=n, generation=generation)


def tables(rows: int = 8, columns: int = 5) -> st.SearchStrategy[np.ndarray]:
    return hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=rows).flatmap(
        lambda shape: hnp.arrays(np.float64, (shape[0], min(shape[1], columns)), elements=COARSE)
    )


def plain_mask(values: np.ndarray) -> list[bool]:
    def beats(a: np.ndarray, b: np.ndarray) -> bool:
        return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))

    return [not any(beats(rival, row) for rival in values) for row in values]


def inclusion_exclusion(edges: np.ndarray) -> float:
    total = 0.0
    for size in range(1, len(edges) + 1):
        for rows in combinations(range(len(edges)), size):
            total -= (-1) ** size * float(np.prod(edges[list(rows)].min(axis=0)))
    return total


@given(tables(rows=12))
def test_the_fast_mask_is_the_plain_mask(values: np.ndarray) -> None:
    assert is_non_dominated(values).tolist() == plain_mask(values)


def test_the_mask_agrees_with_the_plain_one_beyond_one_block() -> None:
    values = np.random.default_rng(3).integers(0, 12, size=(300, 3)) / 12
    assert is_non_dominated(values).tolist() == plain_mask(values)


def test_a_mask_of_no_rows_is_empty() -> None:
    assert is_non_dominated(np.empty((0, 3))).shape == (0,)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_cannot_be_compared_is_refused(bad: float) -> None:
    with pytest.raises(UsageError, match="finite"):
        is_non_dominated(np.array([[0.5, bad]]))
    with pytest.raises(UsageError, match="finite"):
        hypervolume(np.array([[0.5, bad]]), np.zeros(2))
    with pytest.raises(UsageError, match="finite"):
        hypervolume(np.array([[0.5, 0.5]]), np.array([0.0, bad]))


@given(tables(rows=7))
def test_hypervolume_is_inclusion_and_exclusion(values: np.ndarray) -> None:
    assert hypervolume(values, np.zeros(values.shape[1])) == pytest.approx(inclusion_exclusion(values), abs=1e-12)


@pytest.mark.parametrize("columns", [2, 3, 4, 5])
def test_hypervolume_is_the_share_of_random_points_below_the_front(columns: int) -> None:
    rng = np.random.default_rng(columns)
    values, points = rng.random((30, columns)), rng.random((20_000, columns))
    below = np.zeros(len(points), dtype=bool)
    for row in values:
        below |= (points <= row).all(axis=1)
    share = float(below.mean())
    assert hypervolume(values, np.zeros(columns)) == pytest.approx(share, abs=4 * (0.25 / len(points)) ** 0.5)


def test_hypervolume_by_hand() -> None:
    assert hypervolume(np.array([[1.0, 0.5], [0.5, 1.0]]), np.zeros(2)) == pytest.approx(0.75)
    assert hypervolume(np.array([[0.3]]), np.array([0.1])) == pytest.approx(0.2)
    assert hypervolume(np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([0.5, 0.0])) == pytest.approx(0.25)
    assert hypervolume(np.empty((0, 4)), np.zeros(4)) == 0.0


@given(tables(), st.data())
def test_hypervolume_never_falls_and_ignores_the_dominated(values: np.ndarray, data: st.DataObject) -> None:
    reference = np.zeros(values.shape[1])
    whole = hypervolume(values, reference)
    assert hypervolume(values[is_non_dominated(values)], reference) == pytest.approx(whole)
    more = np.vstack([values, data.draw(hnp.arrays(np.float64, (1, values.shape[1]), elements=COARSE))])
    assert hypervolume(more, reference) >= whole - 1e-12


@pytest.mark.parametrize("shape", [(3, 6), (3, 0)])
def test_hypervolume_has_one_to_five_axes(shape: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="axes"):
        hypervolume(np.zeros(shape), np.zeros(shape[1]))


def test_hypervolume_refuses_shapes_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="2 finite numbers"):
        hypervolume(np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(UsageError, match="table"):
        hypervolume(np.zeros(3), np.zeros(3))


def test_a_balanced_candidate_survives_between_two_extremes() -> None:
    archive = Archive(axes(2))
    assert archive.add(entry("right", 1.0, 0.0))
    assert archive.add(entry("top", 0.0, 1.0))
    assert archive.add(entry("balanced", 0.9, 0.9))
    assert [e.candidate for e in archive.front()] == ["right", "balanced", "top"]


def test_a_dominated_candidate_is_kept_but_not_on_the_front() -> None:
    archive = Archive(axes(2))
    archive.add(entry("a", 0.5, 0.5))
    assert not archive.add(entry("b", 0.5, 0.4))
    assert archive.add(entry("c", 0.6, 0.5))
    assert [e.candidate for e in archive.front()] == ["c"]
    assert len(archive) == 3


def test_equal_vectors_share_the_front() -> None:
    archive = Archive(axes(2))
    assert archive.add(entry("b", 0.5, 0.5)) and archive.add(entry("a", 0.5, 0.5))
    assert [e.candidate for e in archive.front()] == ["a", "b"]


def test_more_evidence_replaces_less_and_may_bring_others_back() -> None:
    archive = Archive(axes(1))
    archive.add(entry("lucky", 0.9, n=5, generation=1))
    archive.add(entry("steady", 0.6, n=50, generation=2))
    assert not archive.add(entry("lucky", 0.5, n=50, generation=7))
    assert [e.candidate for e in archive.front()] == ["steady"]
    archive.add(entry("lucky", 0.99, n=6, generation=8))
    assert [e.candidate for e in archive.front()] == ["steady"]


def test_one_candidate_cannot_have_two_vectors_from_as_many_tasks() -> None:
    archive = Archive(axes(1))
    archive.add(entry("a", 0.5))
    assert archive.add(entry("a", 0.5, generation=3))
    with pytest.raises(UsageError, match="two different vectors"):
        archive.add(entry("a", 0.6))


def test_vectors_and_axes_must_fit() -> None:
    with pytest.raises(UsageError, match="3 values for 2 axes"):
        Archive(axes(2)).add(entry("a", 0.1, 0.2, 0.3))
    with pytest.raises(UsageError, match="1 to 5 objectives"):
        Archive(axes(6))


def test_the_archive_measures_from_its_objectives_reference() -> None:
    archive = Archive(axes(2, reference=0.5))
    assert archive.hypervolume() == 0.0
    archive.add(entry("a", 1.0, 0.75))
    archive.add(entry("b", 0.4, 1.0))
    assert archive.hypervolume() == pytest.approx(0.125)


@given(st.data())
def test_any_order_of_arrival_gives_the_same_archive(data: st.DataObject) -> None:
    vectors = data.draw(st.lists(st.tuples(COARSE, COARSE, COARSE), min_size=1, max_size=12))
    entries = [
        entry(f"c{i % 7}", *vector, n=1 + i // 7, generation=data.draw(st.integers(0, 5)))
        for i, vector in enumerate(vectors)
    ]
    one, other = Archive(axes(3)), Archive(axes(3))
    for item in entries:
        one.add(item)
    for item in data.draw(st.permutations(entries)):
        other.add(item)
    assert one.front() == other.front()
    assert one.hypervolume() == pytest.approx(other.hypervolume())
    latest = {e.candidate: e.vector for e in sorted(entries, key=lambda e: e.n)}
    mask = plain_mask(np.array(list(latest.values())))
    assert {e.candidate for e in one.front()} == {c for c, on in zip(latest, mask, strict=True) if on}
