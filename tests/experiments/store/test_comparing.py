"""The comparison on the planted world, where a lamp tells what to do and facts of other machines tell nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from experiments.store.comparing import Comparison, Outcome, prepare, projection, run_comparison, table_lines
from experiments.store_run import CompareConfig
from optimizers.store import CertifiedStore
from signatures.errors import StoreError, UsageError
from tests.worlds.lab import steered
from tests.worlds.shelved import MACHINES, TOKEN, strategy


def comparison(root: Path, *strategies: object, **changed: object) -> Comparison:
    with CertifiedStore(root / "store.db") as store:
        for one in strategies or (strategy(),):
            store.add(one)  # type: ignore[arg-type]
    given = {"benchmark": "tests.worlds.shelved:WithToken", "turns": 3, "tasks": 24, "past": 4, "min_effect": 0.0}
    return prepare(CompareConfig.model_validate({**given, "root": str(root), "tracking": False, **changed}))


def run(plan: Comparison) -> Outcome:
    return asyncio.run(run_comparison(plan, quiet=True))


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Outcome]:
    plan = comparison(tmp_path_factory.mktemp("compared"))
    return plan, run(plan)


def test_executing_what_was_certified_beats_quoting_the_past(ended: tuple[Comparison, Outcome]) -> None:
    report = ended[1].report
    effects = {one.name: one.evidence for one in report.contrasts}
    assert list(effects) == ["certified - cold", "certified - primed", "primed - cold"]
    for name in ("certified - cold", "certified - primed"):
        assert (effects[name].effect or 0) > 0.1
        assert effects[name].n == 12  # families: tasks with the same faults go together
    assert effects["primed - cold"].effect is not None
    assert report.numbers["share of tasks given one"] == 1.0
    assert 4 <= report.numbers["attempts whose facts are quoted"] <= 12
    assert {one.arm for one in report.spend} == {"certified", "primed", "cold"}


def test_the_spend_stays_within_what_was_said_before(ended: tuple[Comparison, Outcome]) -> None:
    plan, outcome = ended
    most, said = projection(plan)
    assert most == 3 * 24 * 3 + 4 * 3
    assert "24 of 24 tasks are given one" in said
    spent = sum(one.attempts or 0 for one in outcome.report.spend)
    assert spent + outcome.report.numbers["attempts whose facts are quoted"] <= most


def test_it_leaves_a_table_and_json_without_a_verdict(ended: tuple[Comparison, Outcome]) -> None:
    plan, outcome = ended
    lines = table_lines(outcome.report)
    assert any(line.startswith("| certified - cold | 12 |") for line in lines)
    assert any(line.startswith("| primed | 24 |") for line in lines)
    body = json.loads(Path(outcome.paths["report"]).read_text())
    assert body["sentence"] == outcome.report.sentence
    for path in ("report", "page"):
        assert TOKEN not in Path(outcome.paths[path]).read_text()
    traces = b"".join(
        path.read_bytes() for path in plan.folder.parent.glob("corpus-*.db*") if "verdicts" not in path.name
    )
    assert traces
    assert TOKEN.encode() not in traces


def test_run_again_it_ends_the_same(ended: tuple[Comparison, Outcome]) -> None:
    plan, outcome = ended
    assert run(plan).report == outcome.report


def test_where_nothing_is_relevant_the_seed_controller_plays(tmp_path: Path) -> None:
    other = strategy("proofs", prompts=("Prove the lemma.",))
    plan = comparison(tmp_path, other, tasks=4, past=0)
    assert all(one.stored is None for one in plan.given.values())
    report = run(plan).report
    assert report.contrasts[0].evidence.effect == 0.0
    assert report.contrasts[0].decided is not None
    assert report.contrasts[0].decided.decision in ("hold", "uninformative")
    assert report.numbers["share of tasks given one"] == 0.0


def test_each_task_is_played_by_its_own(tmp_path: Path) -> None:
    """Of two strategies the relevant one plays; `only` leaves the other."""
    fans = strategy("fans", steered("fan"), ("The fan spins slowly.",))
    plan = comparison(tmp_path, strategy(prompts=MACHINES), fans)
    assert {one.stored.name for one in plan.given.values() if one.stored} == {"lamp"}
    only = comparison(tmp_path, fans, only=(fans.id,))
    assert {one.stored.name for one in only.given.values() if one.stored} <= {"fans"}
    assert only.folder != plan.folder


def test_what_cannot_be_executed_here_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none of 1 strategies was certified with worker planted and 3 attempts of 5"):
        comparison(tmp_path, turns=5)
    with pytest.raises(UsageError, match="none of 1"):
        comparison(tmp_path, options={"noise": 0.3})
    with pytest.raises(UsageError, match="search split has"):
        comparison(tmp_path, past=10_000)


def test_a_store_that_was_touched_is_refused(tmp_path: Path) -> None:
    comparison(tmp_path)
    data = (tmp_path / "store.db").read_bytes()
    assert b"promote" in data
    (tmp_path / "store.db").write_bytes(data.replace(b'"n":180', b'"n":980'))
    with pytest.raises(StoreError, match="was edited"):
        comparison(tmp_path)
