"""What collecting says: an upper bound before, every cell after, and a command that buys what is missing."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from experiments.collect.parts import looked_at, prepare, survey
from experiments.collect.report import Outcome, first_line, last_lines, outcome_of, projection, table_of
from experiments.collect.works import Todo, todo_of
from optimizers.collect.coverage import Cell, coverage
from signatures.records import Amounts
from tests.worlds.small_collect import MOST, small_collect


async def a_todo(root: Path) -> Todo:
    given = prepare(small_collect(root))
    with looked_at(given) as setup:
        return await todo_of(given, setup, await survey(given, setup))


async def test_the_projection_is_one_line_with_what_limits_it(tmp_path: Path) -> None:
    todo = await a_todo(tmp_path)
    most, plain = projection(todo, limit=Amounts(), there=Amounts(), usd=None)
    assert (most, plain) == (MOST, f"at most {MOST} attempts: 18 in 6 stochastic episodes, 36 in 3 trees")
    todo.there["tree"] = 2
    most, limited = projection(todo, limit=Amounts(attempts=50), there=Amounts(attempts=30), usd=None)
    assert (most, limited.partition(":")[0]) == (20, "at most 20 attempts")
    assert limited.endswith("36 in 3 trees (2 there); the limit of 50 leaves 20")
    most, over = projection(todo, limit=Amounts(attempts=50), there=Amounts(attempts=70), usd=None)
    assert most == 0 and over.endswith("leaves 0")
    most, priced = projection(todo, limit=Amounts(usd=2.0), there=Amounts(usd=1.9), usd=0.01)
    assert most <= 10 and priced.endswith("; of 2 usd 0.1 are left, 0.01 reserved per attempt")
    most, known = projection(todo, limit=Amounts(), there=Amounts(), usd=0.5)
    assert most == MOST and known.endswith("; at 0.5 usd an attempt at most 27 usd")
    assert projection(Todo(), limit=Amounts(), there=Amounts(), usd=None) == (0, "at most 0 attempts: nothing")


def a_cell(depth: int, action: str, *, need: float, **changed: object) -> Cell:
    fields: dict[str, object] = {
        "depth": depth,
        "action": action,
        "attempts": 12,
        "in_trees": 8,
        "tasks": 4,
        "parents": 11,
        "passed": 0.25,
        "gain": -0.125,
        "sd": 0.3,
        "effective": 0.5,
        "price": 2.5,
        "most": 6,
        "need": need,
        **changed,
    }
    return Cell.model_validate(fields)


def printed(cells: list[Cell]) -> list[str]:
    console = Console(width=160)
    with console.capture() as captured:
        console.print(table_of(cells))
    return captured.get().splitlines()


def test_the_table_has_a_row_per_cell() -> None:
    cells = [a_cell(1, "none", need=0.001), a_cell(2, "fan", need=0.0, passed=None, gain=None, attempts=0)]
    lines = printed(cells)
    (fresh,) = [line for line in lines if "fresh" in line]
    assert [word.strip() for word in fresh.split("│")[1:-1]] == [
        "1", "fresh", "12", "8", "4", "", "0.250", "-0.125", "0.300", "0.50", "2.5", "1",
    ]  # fmt: skip
    (fan,) = [line for line in lines if "fan" in line]
    assert [word.strip() for word in fan.split("│")[1:-1]] == [
        "2", "fan", "0", "8", "4", "11", "", "", "0.300", "0.50", "2.5", "",
    ]  # fmt: skip


def an_outcome(root: Path, cells: list[Cell], *, made: Amounts, counts: tuple[int, int] = (0, 0)) -> Outcome:
    return outcome_of(prepare(small_collect(root)), {}, cells, made=made, counts=counts)


def test_the_last_line_is_a_command_that_buys_the_neediest_cells(tmp_path: Path) -> None:
    cells = [a_cell(1, "none", need=0.5), a_cell(2, "fan", need=0.9), a_cell(2, "none", need=0.0)]
    outcome = an_outcome(tmp_path, cells, made=Amounts(attempts=7, usd=0.25))
    assert [cell.label for cell in outcome.buy] == ["fan", "fresh"]
    lines = last_lines(outcome)
    assert lines[-2] == "next: fan at depth 2, fresh at depth 1"
    assert lines[-1].strip() == outcome.next
    assert outcome.next.startswith("python -m experiments.collect_run --top-up 100 benchmark=")
    assert "made now: 7 attempts, 0.25 usd" in lines[1]
    assert not any("infrastructure" in line or "limit" in line for line in lines)


def test_a_top_up_is_large_enough_for_one_purchase(tmp_path: Path) -> None:
    outcome = an_outcome(tmp_path, [a_cell(1, "none", need=0.5, most=273)], made=Amounts())
    assert "--top-up 273 " in outcome.next


def test_what_did_not_happen_is_said(tmp_path: Path) -> None:
    lines = last_lines(an_outcome(tmp_path, [], made=Amounts(attempts=0), counts=(4, 2)))
    assert "not begun, since the limit has no room for it: 4" in lines
    assert "ended by infrastructure: 2 episodes; run again to try them again" in lines
    assert lines[-1] == "next: there is nothing to branch from; plan=branching records trees"


async def test_the_first_line_says_who_collects_where(tmp_path: Path) -> None:
    line = first_line(prepare(small_collect(tmp_path)))
    assert line.startswith("tests.worlds.planted:PlantedBenchmark, worker planted, seed 0: 3 tasks of the search split")
    assert line.endswith("corpus-planted.db")


async def test_an_outcome_counts_what_is_there(tmp_path: Path) -> None:
    given = prepare(small_collect(tmp_path))
    with looked_at(given) as setup:
        gathered = await survey(given, setup)
    outcome = outcome_of(given, gathered, coverage(gathered, given.plan), made=Amounts(), counts=(0, 0))
    assert (outcome.trees, outcome.stochastic.episodes, outcome.tasks) == (0, 0, 3)
    assert len(outcome.cells) == 1 + 5
