"""What counts as one pair: repeats never do, clusters do wherever they are named."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.gate.pairs.options import Range
from experiments.gate.pairs.pairs_file import PairsFile
from experiments.gate.pairs.units import Paired, paired

RANGES = {"primary": Range(), "fast": Range(0, 10)}


def grouped(*rows: tuple[str, str | None, float, float], arrival: bool = False) -> Paired:
    """Of rows (task, cluster, baseline, candidate); `fast` goes from 0 to 5 in all of them."""
    tasks: dict[str, list[int]] = {}
    for i, (task, *_) in enumerate(rows):
        tasks.setdefault(task, []).append(i)
    values = {
        "primary": ([row[2] for row in rows], [row[3] for row in rows]),
        "fast": ([0.0] * len(rows), [5.0] * len(rows)),
    }
    clusters = [cluster for _, cluster, *_ in rows if cluster is not None]
    return paired(PairsFile(RANGES, values, {None: tasks}, clusters or None, ()), tasks, arrival=arrival)


def differences(found: Paired) -> Sequence[float]:
    return [float(one) for one in found.pairs[0].difference_T]


def test_a_task_with_repeats_is_one_pair_of_their_means() -> None:
    found = grouped(("b", None, 0, 1), ("a", None, 0, 1), ("a", None, 1, 1))
    primary, fast = found.pairs
    assert (found.unit, found.tasks, found.clusters, found.note) == ("task", 2, None, None)
    assert primary.tasks == ("a", "b")
    assert differences(found) == [0.5, 1.0]
    assert (fast.objective, fast.lo, fast.hi, fast.difference_T.tolist()) == ("fast", 0.0, 10.0, [5.0, 5.0])


def test_the_order_is_that_of_the_names_or_of_the_rows() -> None:
    rows = [(task, None, 0.0, 1.0) for task in "cab"]
    assert grouped(*rows).pairs[0].tasks == ("a", "b", "c")
    assert grouped(*rows, arrival=True).pairs[0].tasks == ("c", "a", "b")


def test_clusters_are_the_units() -> None:
    rows = [(f"t{i}", f"k{i % 10}", 0.0, float(i < 10)) for i in range(20)]
    found = grouped(*rows, ("t20", "k0", 0.0, 1.0), ("t20", "k0", 1.0, 1.0))
    assert (found.unit, found.tasks, found.clusters) == ("cluster", 21, 10)
    assert found.pairs[0].tasks == tuple(f"k{i}" for i in range(10))
    # k0: tasks with differences 1, 0 and .5; the others: 1 and 0
    assert differences(found) == [0.5] * 10
    assert not found.pairs[0].pass_fail
    assert found.note is not None and "10 clusters of 21 tasks" in found.note


def test_few_clusters_are_the_units_too_and_the_mean_over_tasks_is_told() -> None:
    found = grouped(*((f"t{i}", "big" if i > 1 else f"k{i}", 0.0, float(i < 2)) for i in range(20)))
    assert (found.unit, found.clusters, len(found.pairs[0].tasks)) == ("cluster", 3, 3)
    assert found.over_tasks == pytest.approx(0.1)
    assert found.note is not None and "over tasks the mean difference is +0.1" in found.note


@given(members=st.lists(st.integers(0, 14), min_size=1, max_size=60))
def test_every_task_is_in_one_unit_and_every_unit_weighs_the_same(members: list[int]) -> None:
    found = grouped(*((f"t{i}", f"k{k}", 0.0, k / 14) for i, k in zip(itertools.count(), members, strict=False)))
    assert found.unit == "cluster"
    assert sorted(differences(found)) == pytest.approx(sorted(k / 14 for k in set(members)))
