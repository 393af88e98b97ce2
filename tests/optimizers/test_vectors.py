"""Means over tasks, and when a child is worth keeping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.archive import Archive
from optimizers.records import TaskScore
from optimizers.vectors import entry_of, mean_vector, table
from optimizers.vectors import worth_keeping as keeps
from signatures.errors import InfraError
from signatures.records import Failure, Objective

TWO = tuple(Objective(name=name, unit="share", worst=0.0, best=1.0, over="judge") for name in ("correct", "fast"))
VALUE = st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0])
ROWS = st.lists(st.tuples(VALUE, VALUE), min_size=1, max_size=8)


def scored(rows: Sequence[Sequence[float | None]], failure: Failure | None = None) -> list[TaskScore]:
    def one(number: int, values: Mapping[str, float | None]) -> TaskScore:
        return TaskScore(
            candidate="c",
            condition="candidate",
            task_digest=f"t{number}",
            seed=1,
            split="search",
            values=values,
            source="live",
            failure=failure,
        )

    return [one(n, dict(zip(("correct", "fast"), row, strict=True))) for n, row in enumerate(rows)]


def worth_keeping(child: Sequence[TaskScore], parent: Sequence[TaskScore], objectives: Sequence[Objective]) -> bool:
    return keeps(table(child, objectives), table(parent, objectives))


def test_missing_values_are_left_out_and_never_zero() -> None:
    assert mean_vector(scored([(1.0, 0.5), (None, 1.0), (0.5, None)]), TWO) == (0.75, 0.75)


def test_no_value_at_all_is_an_error_that_says_why() -> None:
    gone = Failure(error="WorkerError", message="worker: no space", where="worker")
    with pytest.raises(InfraError, match=r"fast: none of 2 evaluations has a value; worker: no space"):
        mean_vector(scored([(1.0, None), (0.5, None)], gone), TWO)
    with pytest.raises(InfraError, match="no value was measured"):
        mean_vector(scored([(None, None)]), TWO)


def test_an_entry_says_how_many_evaluations_have_a_value() -> None:
    entry = entry_of(scored([(1.0, 0.5), (None, 1.0), (0.5, 0.0), (None, None)]), TWO, generation=3)
    assert (entry.candidate, entry.vector, entry.n, entry.generation) == ("c", (0.75, 0.5), 3, 3)


@given(ROWS, ROWS)
def test_further_rollouts_stand_for_more_or_change_nothing(
    rows: list[tuple[float | None, float | None]], again: list[tuple[float | None, float | None]]
) -> None:
    """So that an archive never meets two vectors of one candidate with equally much behind them."""
    first = scored([(1.0, 1.0), *rows])
    known = entry_of(first, TWO, generation=0)
    more = entry_of([*first, *(score.model_copy(update={"seed": 2}) for score in scored(again))], TWO, generation=0)
    archive = Archive(TWO)
    assert archive.add(known) and archive.add(more)
    assert archive.front() == (more,) if more.n > known.n else more == known


def test_an_equal_child_is_not_kept() -> None:
    rows = [(1.0, 0.5), (0.0, 0.5)]
    assert not worth_keeping(scored(rows), scored(rows), TWO)


@pytest.mark.parametrize(
    ("child", "kept"),
    [((0.6, 0.5), True), ((0.6, 0.4), True), ((0.4, 0.9), True), ((0.5, 0.4), False), ((0.4, 0.4), False)],
)
def test_a_child_is_kept_unless_it_is_dominated(child: tuple[float, float], kept: bool) -> None:
    assert worth_keeping(scored([child]), scored([(0.5, 0.5)]), TWO) is kept


def test_a_child_does_not_win_by_failing_on_the_hard_task() -> None:
    """On the two tasks that both have it is worse; alone, its mean over what is left looks better."""
    parent = scored([(0.0, 0.5), (1.0, 0.5), (1.0, 0.5)])
    child = scored([(None, None), (1.0, 0.5), (0.75, 0.5)])
    assert mean_vector(child, TWO)[0] > mean_vector(parent, TWO)[0]
    assert not worth_keeping(child, parent, TWO)


def test_without_a_common_task_nothing_is_kept() -> None:
    assert not worth_keeping(scored([(None, 1.0), (1.0, 1.0)]), scored([(0.0, 0.0), (0.0, None)]), TWO)


@given(child=ROWS, parent=ROWS)
def test_keeping_is_the_comparison_on_the_tasks_that_both_have(
    child: list[tuple[float | None, float | None]], parent: list[tuple[float | None, float | None]]
) -> None:
    size = min(len(child), len(parent))
    pairs = [(a, b) for a, b in zip(child[:size], parent[:size], strict=True) if None not in (*a, *b)]
    new = [sum(a[m] or 0.0 for a, _ in pairs) for m in (0, 1)]
    old = [sum(b[m] or 0.0 for _, b in pairs) for m in (0, 1)]
    better_somewhere = any(x > y for x, y in zip(new, old, strict=True))
    assert worth_keeping(scored(child[:size]), scored(parent[:size]), TWO) is better_somewhere


def test_repeats_of_a_task_are_one_task_and_count_as_evaluations() -> None:
    """Nested means: a task that was rolled out thrice weighs no more than one rolled out once."""
    first = scored([(1.0, 1.0), (0.0, 0.5)])
    again = [first[1].model_copy(update={"seed": seed, "values": {"correct": 0.0, "fast": 0.0}}) for seed in (2, 3)]
    entry = entry_of([*first, *again], TWO, generation=0)
    assert entry.vector == pytest.approx((0.5, (1.0 + 0.5 / 3) / 2)) and entry.n == 4


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=300))
def test_an_entry_of_a_table_that_is_there_is_the_same_to_the_last_digit(rows: list[tuple[float, float]]) -> None:
    scores = scored(rows)
    assert entry_of(scores, TWO, generation=1, values_N_M=table(scores, TWO)) == entry_of(scores, TWO, generation=1)


@given(ROWS)
def test_gaps_in_a_table_that_is_there_are_left_out_too(rows: list[tuple[float | None, float | None]]) -> None:
    scores = scored(rows)
    known = all(any(row[column] is not None for row in rows) for column in (0, 1))
    if known:
        given_table = entry_of(scores, TWO, generation=1, values_N_M=table(scores, TWO))
        assert given_table == entry_of(scores, TWO, generation=1)
