"""A transfer as a whole on small worlds: the matrix, what carried over, the bound on its cost, and going on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from experiments.transfer.transfer import Outcome, Prepared, cost_of, prepare, projection, run_transfer
from tests.worlds.transferred import small_transfer

NAMES = ("quiet", "loud", "renamed")


def ran(plan: Prepared) -> tuple[Outcome, list[str]]:
    lines: list[str] = []
    return asyncio.run(run_transfer(plan, lambda line: lines.append(str(line)))), lines


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Prepared, Outcome, list[str]]:
    plan = prepare(small_transfer(tmp_path_factory.mktemp("transfer")))
    return plan, *ran(plan)


def test_the_matrix_is_every_source_on_every_target_and_one_family(
    done: tuple[Prepared, Outcome, list[str]],
) -> None:
    report = done[1].report
    matrix = [one for one in report.contrasts if one.family == "learned - frozen"]
    sources = {f"{source} -> {target}" for source in (*NAMES, "all others") for target in NAMES}
    assert {one.treatment for one in matrix} == sources
    assert {one.control for one in matrix} == {f"frozen on {target}" for target in NAMES}
    least = min(one.evidence.p for one in matrix)
    assert all(one.evidence.q is not None and one.evidence.q >= least for one in matrix)
    assert all(one.evidence.mde is not None for one in matrix)
    against = [one for one in report.contrasts if one.family == "learned elsewhere - learned here"]
    assert len(against) == 9
    assert {one.control for one in against} == {f"{name} -> {name}" for name in NAMES}
    entries = report.data["matrix"]
    assert isinstance(entries, list)
    assert all(isinstance(one, dict) and one["n"] for one in entries)


def test_the_report_says_how_each_controller_was_carried_and_whose_work_it_is(
    done: tuple[Prepared, Outcome, list[str]],
) -> None:
    _, outcome, _ = done
    carried = outcome.report.data["carried"]
    assert isinstance(carried, dict)
    assert {"quiet -> renamed", "renamed -> quiet", "all others -> loud", "frozen on quiet"} <= set(carried)
    for name in ("quiet -> renamed", "loud -> renamed"):
        one = carried[name]
        assert isinstance(one, dict)
        assert "planted.lit" not in json.dumps(one["candidate"])
    page = Path(outcome.paths["page"]).read_text()
    assert "quiet: simulated worker planted; loud: simulated worker planted; renamed: worker planted" in page
    assert "| learned on \\ tried on | quiet | loud | renamed |" in page
    assert Path(outcome.paths["figure"]).read_bytes().startswith(b"\x89PNG")


def test_the_projection_bounds_what_was_attempted(done: tuple[Prepared, Outcome, list[str]]) -> None:
    plan, outcome, lines = done
    cost, report = cost_of(plan), outcome.report
    assert lines[0] == projection(plan)
    assert f"at most {cost.total:,} attempts" in lines[0]
    assert sum(v for k, v in report.numbers.items() if k.endswith("recorded_attempts")) <= cost.trees
    assert sum(v for k, v in report.numbers.items() if k.endswith("live_attempts")) <= cost.search
    assert sum(one.attempts or 0 for one in report.spend) <= cost.tries


def test_started_again_it_attempts_nothing_and_says_the_same(done: tuple[Prepared, Outcome, list[str]]) -> None:
    plan, outcome, _ = done
    sizes = {path.name: path.stat().st_size for path in plan.folder.glob("*.db")}
    report = Path(outcome.paths["report"]).read_bytes()
    again, _ = ran(prepare(plan.config))
    assert again == outcome
    assert Path(outcome.paths["report"]).read_bytes() == report
    assert {path.name: path.stat().st_size for path in plan.folder.glob("*.db")} == sizes


def test_two_domains_have_no_others_to_pool(tmp_path: Path) -> None:
    two = ["tests.worlds.planted:PlantedBenchmark", "tests.worlds.transferred:RenamedBenchmark"]
    plan = prepare(small_transfer(tmp_path, domains=two, options={}, tasks=4, generations=1, iterations=1))
    report = ran(plan)[0].report
    assert len([one for one in report.contrasts if one.family == "learned - frozen"]) == 4
    assert "from all others" not in report.sentence
