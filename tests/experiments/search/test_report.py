"""The table and the sentence: paired by task, missing values counted, and no word more than the numbers carry."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from experiments.search.report import Comparison, Row, as_json, compare, row_of, sentence, table_of
from optimizers.records import TaskScore
from signatures.records import Amounts, Objective

CORRECT = Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge")
CHEAP = Objective(name="cheap", unit="price", worst=10.0, best=0.0, over="episode")
BOTH = (CORRECT, CHEAP)


def score(task: int, correct: float | None, cheap: float | None = 0.5, *, used: Amounts | None = None) -> TaskScore:
    return TaskScore(
        candidate="c",
        condition="candidate",
        task_digest=f"task-{task:03}",
        seed=1,
        split="dev",
        values={"correct": correct, "cheap": cheap},
        source="live",
        used=used or Amounts(attempts=2, turns=5),
    )


def printed(*rows: Row, width: int = 200) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False).print(table_of(rows, BOTH))
    return out.getvalue()


def compared(candidate: list[float | None], control: list[float | None]) -> Comparison:
    return compare(
        [score(n, value) for n, value in enumerate(candidate)],
        [score(n, value) for n, value in enumerate(control)],
        "random@3",
        "correct",
    )


def test_a_row_adds_up_what_was_spent_and_counts_what_is_missing() -> None:
    row = row_of("a", "arm", [score(1, 1.0), score(2, 0.0), score(3, None)], BOTH)
    assert (row.n, row.missing, row.attempts, row.turns) == (2, 1, 6, 15)
    assert (row.tokens, row.usd) == (None, None)
    assert row.values["correct"].mean == 0.5
    assert row.values["cheap"].n == 3


def test_money_and_tokens_are_added_where_somebody_measured_them() -> None:
    spent = Amounts(attempts=1, tokens=100, usd=0.25)
    row = row_of("a", "arm", [score(1, 1.0, used=spent), score(2, 1.0)], BOTH)
    assert (row.tokens, row.usd) == (100, 0.25)


def test_the_table_shows_each_row_with_n_and_intervals() -> None:
    text = printed(row_of("random@3", "arm", [score(n, float(n % 2)) for n in range(10)], BOTH))
    assert "random@3" in text
    assert "0.500 [0.24, 0.76]" in text  # Wilson, 5 of 10
    assert {"controller", "n", "correct", "cheap", "attempts", "turns", "usd"} <= set(text.replace("┃", " ").split())


def test_columns_that_say_nothing_are_left_out_and_those_that_do_are_not() -> None:
    whole = row_of("a", "arm", [score(1, 1.0), score(2, 1.0)], BOTH)
    lossy = row_of("b", "arm", [score(1, 1.0), score(2, None, used=Amounts(attempts=0, tokens=7))], BOTH)
    assert not {"missing", "tokens"} & set(printed(whole).replace("┃", " ").split())
    assert {"missing", "tokens"} <= set(printed(whole, lossy).replace("┃", " ").split())


def test_an_objective_with_another_n_says_so() -> None:
    text = printed(row_of("a", "arm", [score(1, 1.0, None), score(2, 1.0), score(3, 0.0)], BOTH))
    assert text.count("n=2") == 1


def test_a_row_of_failures_has_no_numbers() -> None:
    row = row_of("a", "arm", [score(1, None, None), score(2, None, None)], BOTH)
    assert (row.n, row.missing) == (0, 2)
    assert "0.000" not in printed(row)


def test_comparisons_are_paired_by_task_whatever_the_order() -> None:
    rise = [0.1 * n for n in range(1, 9)]
    candidate = [score(n, value + 0.1) for n, value in enumerate(rise)]
    control = [score(n, value) for n, value in enumerate(rise)]
    gap = compare(candidate, list(reversed(control)), "random@3", "correct").difference
    # Each task gains the same, so the paired interval has no width although the tasks differ widely.
    assert gap.mean == pytest.approx(0.1)
    assert gap.lo == pytest.approx(0.1)
    assert gap.hi == pytest.approx(0.1)


def test_tasks_without_a_partner_are_counted_and_left_out() -> None:
    gap = compared([1.0, 1.0, None, 1.0], [0.0, 0.0, 0.0, None]).difference
    assert (gap.mean, gap.n) == (1.0, 2)
    assert gap.missing == 4


@pytest.mark.parametrize(
    ("candidate", "control", "verb"),
    [
        ([1.0] * 8, [0.0] * 8, "beat random@3"),
        ([0.0] * 8, [1.0] * 8, "was worse than random@3"),
        ([1.0, 0.0] * 4, [0.0, 1.0] * 4, "did not beat random@3"),
        ([1.0] * 8, [1.0] * 8, "did not beat random@3"),
    ],
)
def test_the_sentence_says_what_the_interval_says(
    candidate: list[float | None], control: list[float | None], verb: str
) -> None:
    text = sentence("g01-c2", "correct", [compared(candidate, control)], n=8, front=3)
    assert f": {verb} (" in text
    assert text.startswith("On dev (8 tasks), g01-c2, chosen on search as the best correct of the 3 on the front")
    assert "an interval is not a gate" in text


def test_the_sentence_names_both_controls_with_interval_and_n() -> None:
    both = [compared([1.0] * 4, [0.0] * 4), compared([1.0] * 4, [1.0] * 4).model_copy(update={"control": "placebo@3"})]
    text = sentence("g01-c2", "correct", both, n=4, front=1)
    assert "beat random@3 (+1.000 [+1.000, +1.000], n=4); did not beat placebo@3 (+0.000 [+0.000, +0.000], n=4)" in text
    assert "the only one on the front" in text


def test_what_cannot_be_compared_is_not_called_a_tie() -> None:
    alone = sentence("a", "correct", [compared([None, None], [1.0, 0.0])], n=2, front=1)
    assert "not comparable with random@3, no task has a value for both" in alone
    single = sentence("a", "correct", [compared([1.0, None], [0.0, 0.0])], n=2, front=1)
    assert "not comparable with random@3 on 1 task" in single
    assert "beat" not in alone + single


def test_the_sentence_counts_what_was_left_out() -> None:
    text = sentence("a", "correct", [compared([1.0, 1.0, 1.0, None], [0.0] * 4)], n=4, front=1)
    assert "n=3, 2 values left out" in text


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12))
def test_beats_means_that_the_whole_interval_is_above_zero(pairs: list[tuple[float, float]]) -> None:
    one = compared([a for a, _ in pairs], [b for _, b in pairs])
    gap = one.difference
    assert gap.lo is not None and gap.hi is not None and gap.mean is not None
    assert gap.lo <= gap.mean <= gap.hi
    assert one.beats == (gap.lo > 0)
    other = compared([b for _, b in pairs], [a for a, _ in pairs])
    assert not (one.beats and other.beats)


def test_the_json_holds_the_table_the_comparisons_and_the_sentence() -> None:
    one = compared([1.0] * 4, [0.0] * 4)
    rows = [row_of("a", "arm", [score(1, 1.0), score(2, 0.0)], BOTH)]
    body = json.loads(json.dumps(as_json(rows, [one], "said", {"run": "runs/x"})))
    assert body["rows"][0]["values"]["correct"]["n"] == 2
    assert body["comparisons"][0]["beats"] is True
    assert (body["sentence"], body["paths"]) == ("said", {"run": "runs/x"})
