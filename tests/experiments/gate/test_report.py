"""One record as one JSON file, one page and one MLflow run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.events import FILE, EventLog, read_events
from experiments.gate.report import (
    Contrast,
    Excluded,
    GateReport,
    markdown_of,
    metrics_of,
    points,
    publish,
    table,
    tell,
    write_report,
)
from experiments.tracking import store_of
from optimizers.gate.decide import Question, decide
from optimizers.gate.evidence import evidence_of
from optimizers.gate.paired import pairs_of
from optimizers.gate.spend import Spend


def report(**changed: Any) -> GateReport:
    """76 pairs with 15 wins and 5 losses, as a report."""
    baseline = {f"t{n:02}": [float(n < 5 or n >= 60)] for n in range(76)}
    candidate = {f"t{n:02}": [float(5 <= n < 20 or n >= 60)] for n in range(76)}
    evidence = evidence_of(pairs_of("correct", baseline, candidate), min_effect=0.05).model_copy(update={"q": 0.0414})
    one = Contrast(
        name="refine - placebo",
        family="steering",
        treatment="refine",
        control="placebo",
        evidence=evidence,
        decided=decide(Question(evidence=(evidence,))),
        confounded=("refine spent 6 turns, placebo 5",),
    )
    given: dict[str, Any] = {
        "kind": "gate-a",
        "title": "A gate",
        "benchmark": "planted",
        "worker": "planted",
        "seed": 3,
        "split": "dev",
        "config": {"tasks": 76, "worker": None},
        "sentence": "It says no.",
        "contrasts": (one,),
        "spend": (Spend(arm="refine", episodes=76, attempts=200, turns=600),),
        "excluded": (Excluded(arm="refine", excluded=2, episodes=78),),
        "gap": 0.02,
        "numbers": {"rescue rate": 0.25},
        "notes": ("a note",),
    }
    return GateReport.model_validate({**given, **changed})


def test_the_json_is_versioned_and_reads_back_as_the_same_record(tmp_path: Path) -> None:
    made = report()
    written = write_report(tmp_path, made)
    body = written.json.read_text()
    assert json.loads(body)["schema_version"] == 1
    assert GateReport.model_validate_json(body) == made
    assert written.markdown.read_text() == markdown_of(made)


def test_the_page_has_every_number_that_a_gate_owes() -> None:
    page = markdown_of(report())
    for expected in ("It says no.", "| 76 |", "20 (15+ 5-)", "+13.2 [", "0.0207", "0.0414", "2 |", "a note", "+2.0"):
        assert expected in page, expected
    for column in ("e-value", "least p", "MDE", "power 5", "power 10", "discordant", "infra-excluded", "turns"):
        assert column in page, column
    assert "spend not comparable: refine spent 6 turns" in page


def test_a_decision_stands_with_its_reasons() -> None:
    page = markdown_of(report())
    decided = report().contrasts[0].decided
    assert decided is not None
    assert f"{decided.decision}. {decided.reasons[0]}" in page


def test_metrics_are_flat_and_leave_out_what_was_not_measured() -> None:
    metrics = metrics_of(report())
    assert round(metrics["refine - placebo/correct/effect"], 4) == 0.1316
    assert metrics["spend/refine/turns"] == 600
    assert "spend/refine/tokens" not in metrics
    assert metrics["gap"] == 0.02
    assert "gap" not in metrics_of(report(gap=None))


def test_a_bar_in_a_cell_does_not_split_it() -> None:
    assert table(("a", "b"), [("x|y", "1")]).splitlines()[-1] == r"| x\|y | 1 |"
    assert points(None) == "-"


def test_telling_twice_writes_nothing_new(tmp_path: Path) -> None:
    made = report()
    write_report(tmp_path, made)
    for _ in range(2):
        with EventLog(tmp_path) as log:
            tell(log, tmp_path, made)
    kinds = [event.body.kind for event in read_events(tmp_path / FILE)]
    assert kinds == ["search_started", "artifact", "artifact", "search_finished"]


def test_a_report_is_one_mlflow_run_however_often_it_is_told(root: Path, contents: Callable[..., Any]) -> None:
    folder = root / "planted-gate-a-s3-1"
    folder.mkdir()
    (folder / "surface.png").write_bytes(b"\x89PNG a picture")
    made = report(figures=("surface.png",))
    for _ in range(2):
        _, line = publish(folder, made, tracking=True)
        assert line.startswith("MLflow: 5 of 5 events")
    found = contents(store_of(root))
    assert set(found) == {"planted-gate-a-s3-1/gate-a s3", "traces"}
    run = found["planted-gate-a-s3-1/gate-a s3"]
    assert run["artifacts"] == ["report.json", "report.md", "surface.png"]
    assert run["status"] == "FINISHED"
    assert run["tags"]["tiller.sentence"] == "It says no."
    assert run["params"]["tasks"] == "76"
    metrics = {name: value for name, _, _, value in run["metrics"]}
    assert metrics["refine - placebo/correct/effect"] == 0.1316
    assert metrics["rescue rate"] == 0.25


def test_without_tracking_nothing_is_said_of_mlflow(tmp_path: Path) -> None:
    written, line = publish(tmp_path, report(), tracking=False)
    assert line == ""
    assert written.json.is_file()
    assert not (tmp_path.parent / "mlflow.db").exists()
