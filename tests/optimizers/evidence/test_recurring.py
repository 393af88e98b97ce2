"""Findings over runs: counted where a run has evidence of its own, whatever it is called."""

from __future__ import annotations

import json
import multiprocessing
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.evidence.analysis import analyse
from optimizers.evidence.findings import AnalysisFinding, finding_id
from optimizers.evidence.recurring import Findings, Recurrence
from signatures.errors import StoreError
from tests.worlds.lab import ACTIONS, Lab


def finding(subject: str, basis: str, severity: str = "high") -> AnalysisFinding:
    return AnalysisFinding.model_validate(
        {
            "id": finding_id("planted", "action helped", subject),
            "benchmark": "planted",
            "kind": "action helped",
            "subject": subject,
            "severity": severity,
            "said": f"{subject} helped",
            "advice": "try it",
            "shown": 3,
            "of": 4,
            "share": 0.75,
            "evidence": (),
            "basis": basis,
        }
    )


def counts(kept: Findings) -> dict[str, int]:
    """Finding id -> runs that showed it on evidence of their own."""
    return {one.finding.id: one.count for one in kept.recurrent(least=1)}


def test_a_finding_is_counted_once_for_each_run_with_evidence_of_its_own(tmp_path: Path) -> None:
    kept = Findings(tmp_path / "findings-planted.jsonl")
    assert kept.recurrent() == kept.recurrent(least=1) == ()
    a, b = finding("fan", "1"), finding("pump", "1", "low")
    assert kept.add("run 1", [a, b])
    assert not kept.add("run 1", [b, a]), "the same again"
    assert kept.add("run 1 renamed", [a]), "is kept, and counts nothing"
    assert counts(kept) == {a.id: 1, b.id: 1} and kept.recurrent() == ()
    later = finding("fan", "2", "medium")
    assert kept.add("run 2", [later])
    (one,) = kept.recurrent()
    assert (one.finding, one.runs, one.count) == (later, ("run 1", "run 2"), 2)
    assert one.evidence == "fan helped; found in 2 runs: run 1, run 2"
    assert [r.count for r in Findings(kept.path).recurrent(least=1)] == [2, 1], "another process reads the same"
    assert Recurrence.model_validate_json(one.model_dump_json()) == one, "a run notes what it begins with"


RUNS = st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123")), max_size=4), max_size=6)


@settings(max_examples=40, deadline=None)
@given(runs=RUNS, seed=st.integers(0, 1000))
def test_order_renaming_and_reading_again_change_no_count(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[tuple[str, str]]], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    plain, mixed = Findings(folder / "plain.jsonl"), Findings(folder / "mixed.jsonl")
    rows = [(f"run {n}", [finding(*one) for one in dict(run).items()]) for n, run in enumerate(runs)]
    for name, found in rows:
        plain.add(name, found)
    again = [*rows, *((f"copy of {name}", found) for name, found in rows)]
    random.Random(seed).shuffle(again)
    for name, found in again:
        mixed.add(name, found)
    assert counts(plain) == counts(mixed)
    assert [one.finding.id for one in plain.recurrent()] == [one.finding.id for one in mixed.recurrent()]


async def test_the_planted_rule_recurs_over_runs_on_other_tasks_and_not_over_the_same_trees(lab: Lab) -> None:
    kept = Findings(lab.folder / "findings-planted.jsonl")
    tasks = lab.benchmark.tasks("search")
    wanted = {finding_id("planted", "action helped", f"steer {g} where planted.lit.{g} > 0.5") for g in ("fan", "pump")}
    found = []
    for part in (tasks[:30], tasks[30:60]):
        replay = await lab.replay(part)
        moves = [move for digest in replay.trees for move in replay.moves(digest)]
        found.append(analyse(moves, benchmark="planted", actions=ACTIONS))
    for name, findings in (("one", found[0]), ("the same trees", found[0]), ("two", found[1])):
        kept.add(name, findings)
    recurrent = {one.finding.id: one for one in kept.recurrent()}
    assert wanted <= set(recurrent)
    for id in wanted:
        assert recurrent[id].runs == ("one", "two")
        assert recurrent[id].finding.rule is not None


def _append(path: Path, number: int) -> None:
    for n in range(5):
        Findings(path).add(f"run {number}.{n}", [finding("fan", f"{number}.{n}")])


def test_runs_that_end_at_once_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "findings.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append, args=(path, number)) for number in range(2)]
    for one in writers:
        one.start()
    for one in writers:
        one.join(60)
        assert one.exitcode == 0
        one.close()
    assert list(counts(Findings(path)).values()) == [10]


@pytest.mark.parametrize("line", ["{}", '{"run": 3, "findings": []}', '{"run": "a", "findings": [{"id": "x"}]}', "x"])
def test_a_damaged_file_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "findings.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(StoreError, match=r"findings\.jsonl:1"):
        Findings(path).recurrent()


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "findings.jsonl"
    Findings(path).add("one", [finding("fan", "1")])
    with path.open("a") as file:
        file.write('{"run": "two", "findi')
    Findings(path).add("three", [finding("fan", "3")])
    assert [json.loads(line)["run"] for line in path.read_text().splitlines()] == ["one", "three"]
