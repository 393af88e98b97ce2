"""Coverage by hand on a small record, and purchases that go where they are needed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.collect.collecting import CollectPlan
from optimizers.collect.coverage import WIDEST, Cell, coverage, depths_of, purchases, ranked
from optimizers.collect.gathering import Gathered, Part
from signatures.records import Amounts, Attempt, CheckerResult, Episode, Failure, Steer, WorkerFingerprint

WORKER = WorkerFingerprint(name="w")
PLAN = CollectPlan(roots=2, depth=2, actions=("none", "fan"))


def an_attempt(id: str, parent: str | None, action: str, value: float | None, *, infra: bool = False) -> Attempt:
    checks = () if infra else (CheckerResult(objective="correct", value=value, unit="share", passed=_passed(value)),)
    return Attempt(
        id=id,
        episode_id="e",
        round=0,
        index=0,
        parent_id=parent,
        task_digest="t",
        benchmark="b",
        worker=WORKER,
        steer=Steer(kind="none" if parent is None else "fixed", action=action),
        checks=checks,
        outcome="infra_error" if infra else "ok",
        failure=Failure(error="WorkerError", message="gone", where="worker") if infra else None,
    )


def _passed(value: float | None) -> bool | None:
    return None if value is None else value >= 1


def a_part(attempts: Sequence[Attempt], *, depth: int = 2) -> Part:
    episode = Episode(
        id="e",
        condition="collect 2x2",
        seed=0,
        split="search",
        benchmark="b",
        task_digest="t",
        worker=WORKER,
        decision_ids=(),
        attempt_ids=(),
        selected_id=None,
        granted=Amounts(),
        spent=Amounts(),
    )
    return Part(episode, tuple(attempts), roots=2 if depth else 0, depth=depth)


def a_tree(name: str, values: tuple[float, float, float, float]) -> list[Attempt]:
    """Two roots; the first fails and has a child under each action, the second is solved."""
    root, none, fan, solved = values
    return [
        an_attempt(f"{name}r", None, "none", root),
        an_attempt(f"{name}s", None, "none", solved),
        an_attempt(f"{name}n", f"{name}r", "none", none),
        an_attempt(f"{name}f", f"{name}r", "fan", fan),
    ]


def recorded() -> dict[str, Gathered]:
    first, second = a_tree("a", (0.5, 0.5, 1.0, 1.0)), a_tree("b", (0.25, 0.5, 0.25, 1.0))
    drawn = [an_attempt("dr", None, "none", 0.5), an_attempt("df", "dr", "fan", 0.75)]
    return {
        "a": Gathered(branching=[a_part(first)], drawn=[a_part(drawn, depth=0)]),
        "b": Gathered(branching=[a_part(second)]),
    }


def cell_of(cells: Sequence[Cell], depth: int, action: str) -> Cell:
    (found,) = [cell for cell in cells if (cell.depth, cell.action) == (depth, action)]
    return found


def test_a_record_is_counted_by_hand() -> None:
    cells = coverage(recorded(), PLAN)
    assert [(cell.depth, cell.action) for cell in cells] == [(1, "none"), (2, "none"), (2, "fan")]
    fresh, fan = cells[0], cells[2]
    assert (fresh.label, fan.label) == ("fresh", "fan")
    assert (fresh.attempts, fresh.in_trees, fresh.tasks, fresh.parents) == (5, 4, 2, 0)
    assert (fan.attempts, fan.in_trees, fan.tasks, fan.parents) == (3, 2, 2, 3)
    assert fresh.passed == pytest.approx(2 / 5)
    assert fan.passed == pytest.approx(1 / 3)
    assert fresh.gain == pytest.approx((0.5 + 1 + 0.25 + 1 + 0.5) / 5)
    assert fan.gain == pytest.approx((0.5 + 0.0 + 0.25) / 3)
    assert fan.effective == pytest.approx(3**2 / (2**2 + 1**2) / 2)
    # a purchase of a fresh attempt: 3 of 5 fail, and then two children at one attempt each
    assert (fresh.price, fan.price) == (pytest.approx(1 + 3 / 5 * 2), 1.0)
    assert (fresh.most, fan.most) == (3, 1)


def test_the_spread_is_drawn_towards_that_of_all_cells() -> None:
    cells = coverage(recorded(), PLAN)
    fresh_gains, none_gains, fan_gains = [0.5, 1.0, 0.25, 1.0, 0.5], [0.0, 0.25], [0.5, 0.0, 0.25]

    def squares(values: list[float]) -> float:
        return sum((value - sum(values) / len(values)) ** 2 for value in values)

    pooled = (squares(fresh_gains) + squares(none_gains) + squares(fan_gains)) / (4 + 1 + 2)
    fan = cell_of(cells, 2, "fan")
    assert fan.sd == pytest.approx(math.sqrt((2 * pooled + squares(fan_gains)) / (2 + 2)))
    assert fan.need == pytest.approx(fan.sd / 4)


def test_with_nothing_recorded_every_cell_is_there_and_fresh_attempts_can_be_bought() -> None:
    gathered = {"a": Gathered(), "b": Gathered()}
    cells = coverage(gathered, PLAN)
    assert [cell.attempts for cell in cells] == [0, 0, 0]
    assert {cell.sd for cell in cells} == {math.sqrt(WIDEST)}
    assert [cell.label for cell in ranked(cells, PLAN)] == ["fresh"]
    assert cells[0].price == cells[0].most == 3
    bought = purchases(gathered, cells, PLAN, attempts=4)
    assert [(one.task_digest, one.parent_id, one.depth, one.repeat) for one in bought] == [
        ("a", None, 1, 0),
        ("b", None, 1, 0),
        ("a", None, 1, 1),
        ("b", None, 1, 1),
    ]


def test_what_the_checker_could_not_say_is_no_zero_and_what_did_not_happen_is_not_counted() -> None:
    tree = [
        an_attempt("r", None, "none", 0.5),
        an_attempt("n", "r", "none", None),
        an_attempt("f", "r", "fan", None, infra=True),
    ]
    cells = coverage({"a": Gathered(branching=[a_part(tree)])}, PLAN)
    none, fan = cells[1], cells[2]
    assert (none.attempts, none.passed, none.gain) == (1, None, None)
    assert (fan.attempts, fan.parents, fan.tasks) == (0, 0, 0)
    assert fan.need > none.need > 0


def test_a_solved_attempt_asks_for_nothing() -> None:
    solved = [an_attempt("r", None, "none", 1.0)]
    cells = coverage({"a": Gathered(branching=[a_part(solved)])}, PLAN)
    assert [cell.need > 0 for cell in cells] == [True, False, False]


def test_actions_that_are_recorded_and_not_in_the_plan_are_shown_and_not_bought() -> None:
    tree = [*a_tree("a", (0.5, 0.5, 0.5, 1.0)), an_attempt("x", "ar", "old", 0.5), an_attempt("y", "x", "fan", 0.5)]
    cells = coverage({"a": Gathered(branching=[a_part(tree)])}, PLAN)
    assert cell_of(cells, 3, "fan").need == cell_of(cells, 2, "old").need == 0
    assert [(cell.depth, cell.action) for cell in cells][-2:] == [(2, "old"), (3, "fan")]
    bought = purchases({"a": Gathered(branching=[a_part(tree)])}, cells, PLAN, attempts=9)
    assert {(one.depth, one.action) for one in bought} <= {(1, "none"), (2, "none"), (2, "fan")}


def test_the_parent_with_the_fewest_children_comes_first_then_the_task_with_the_fewest_attempts() -> None:
    gathered = recorded()
    gathered["b"].branching.append(a_part([an_attempt("bt", None, "none", 0.0)]))  # a root without a child
    cells = [cell for cell in coverage(gathered, PLAN) if cell.action == "fan"]
    bought = purchases(gathered, cells, PLAN, attempts=4)
    assert [one.parent_id for one in bought] == ["bt", "ar", "br", "bt"]
    assert [one.repeat for one in bought] == [0, 0, 0, 1]


def test_what_was_tried_before_is_not_the_same_purchase() -> None:
    gathered = recorded()
    gathered["a"].tried["ar", "fan"] = 3
    cells = [cell for cell in coverage(gathered, PLAN) if cell.action == "fan"]
    repeats = {one.parent_id: one.repeat for one in purchases(gathered, cells, PLAN, attempts=2)}
    assert repeats == {"ar": 3, "br": 0}


def test_no_purchase_is_listed_that_could_cost_more_than_there_is() -> None:
    gathered, cells = recorded(), coverage(recorded(), PLAN)
    assert {one.depth for one in purchases(gathered, cells, PLAN, attempts=2)} == {2}
    assert purchases(gathered, cells, PLAN, attempts=0) == []


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.integers(1, 60))
def test_purchases_follow_the_need_and_are_a_function_of_the_record(values: list[float], attempts: int) -> None:
    root, none, fan, solved = values
    gathered = {name: Gathered(branching=[a_part(a_tree(name, (root, none, fan, solved)))]) for name in "ab"}
    cells = coverage(gathered, PLAN)
    bought = purchases(gathered, cells, PLAN, attempts=attempts)
    assert bought == purchases(gathered, cells, PLAN, attempts=attempts)
    assert len(bought) <= attempts
    assert len({one.model_dump_json() for one in bought}) == len(bought)
    counts = Counter((one.depth, one.action) for one in bought)
    after = [
        cell.sd / ((cell.attempts + counts[cell.depth, cell.action] + 1) * math.sqrt(cell.price))
        for cell in ranked(cells, PLAN)
        if counts[cell.depth, cell.action]
    ]
    before = [
        cell.need for cell in ranked(cells, PLAN) if not counts[cell.depth, cell.action] and cell.most <= attempts
    ]
    last = [
        cell.sd / ((cell.attempts + counts[cell.depth, cell.action]) * math.sqrt(cell.price))
        for cell in ranked(cells, PLAN)
        if counts[cell.depth, cell.action]
    ]
    # nobody was served while someone else's need was larger
    assert all(was >= other - 1e-12 for was in last for other in [*after, *before])


def test_depths_are_counted_from_the_root() -> None:
    assert depths_of(a_tree("a", (0.0, 0.0, 0.0, 0.0))) == {"ar": 1, "as": 1, "an": 2, "af": 2}
