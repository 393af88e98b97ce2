"""From raw checker values to a vector."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.scoring import episode_values, unselected_values
from signatures.records import Failure, Objective
from tests.worlds.recorded import OBJECTIVES, Node, seen_of

NODES = (
    Node("a", turns=4),
    Node("b", correct=0.5, parent="a", turns=3),
    Node("c", turns=6),
    Node("d", correct=1.0, parent="b", turns=2),
)
HISTORY = [seen_of(node, index) for index, node in enumerate(NODES)]


def test_judge_lineage_and_episode() -> None:
    values = episode_values(HISTORY, "d", 0.75, OBJECTIVES)
    assert values["correct"] == 0.75, "the judge's number, not the checker's"
    assert values["fast"] == pytest.approx(1 - (4 + 3 + 6 + 2) / 20), "all attempts are paid for"
    assert values["cheap"] == pytest.approx(1 - (4 + 3 + 2) / 20), "root to selected"
    assert episode_values(HISTORY, "c", 0.0, OBJECTIVES)["cheap"] == pytest.approx(1 - 6 / 20)


def test_no_verdict_is_missing_and_touches_nothing_else() -> None:
    values = episode_values(HISTORY, "d", None, OBJECTIVES)
    assert values["correct"] is None
    assert values["fast"] is not None and values["cheap"] is not None


@pytest.mark.parametrize("unmeasured", ["value", "check"])
def test_one_attempt_in_range_that_was_not_measured_leaves_the_sum_missing(unmeasured: str) -> None:
    first = HISTORY[2].attempt
    checks = [c.model_copy(update={"value": None}) for c in first.checks] if unmeasured == "value" else []
    blind = HISTORY[2]._replace(attempt=first.model_copy(update={"checks": tuple(checks)}))
    history = [*HISTORY[:2], blind, HISTORY[3]]
    values = episode_values(history, "d", 1.0, OBJECTIVES)
    assert values["fast"] is None
    assert values["cheap"] == pytest.approx(1 - 9 / 20), "it is not in the lineage"
    assert episode_values(history, "c", 1.0, OBJECTIVES)["cheap"] is None


@given(
    turns=st.lists(st.integers(0, 1000), min_size=1, max_size=6),
    worst=st.floats(-100, 100),
    best=st.floats(-100, 100),
)
def test_values_are_on_the_unit_interval_whichever_end_is_best(turns: list[int], worst: float, best: float) -> None:
    if worst == best:
        return
    objective = Objective(name="fast", unit="turns", worst=worst, best=best, over="episode")
    history = [seen_of(Node(f"n{i}", turns=n), i) for i, n in enumerate(turns)]
    value = episode_values(history, "n0", None, [objective])["fast"]
    assert value is not None and 0 <= value <= 1
    assert value == pytest.approx(min(1, max(0, (sum(turns) - worst) / (best - worst))))


def test_what_selected_nothing_earned_nothing_or_is_missing() -> None:
    failure = Failure(error="WorkerError", message="no machine", where="worker")
    assert set(unselected_values((), None, OBJECTIVES).values()) == {0.0}
    assert set(unselected_values((), failure, OBJECTIVES).values()) == {None}
    assert set(unselected_values(HISTORY, None, OBJECTIVES).values()) == {None}
