"""The report of a production run: what stands in the table and in MLflow, over one release and over several."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from experiments.events import ArtifactWritten, CandidateScored, EventLog, SearchStarted, read_events
from experiments.production.config import ProductionConfig
from experiments.production.parts import prepare
from experiments.production.report import (
    REPORT,
    ProductionReport,
    lines_of,
    metrics_of,
    started_event,
    table_of,
    tell,
)
from experiments.production.served import Served
from signatures.release import Level
from tests.worlds.shipped import BENCHMARK


def served(release: str = "a" * 24, *, episodes: int = 4, correct: float = 0.5, fallbacks: int = 0) -> Served:
    return Served(
        release=release,
        candidate="c" * 24,
        exploration=0.05,
        episodes=episodes,
        failed=1,
        attempts=3 * episodes,
        decisions=8 * episodes,
        by_tier={"frontier": 6 * episodes, "rule": 2 * episodes},
        fallbacks=fallbacks,
        success={"correct": Level(mean=correct, n=episodes)},
        usable=episodes - 1,
        left_out={"infrastructure": 1},
        sentence=f"sentence of {episodes}",
    )


def report(*of: Served) -> ProductionReport:
    given = {"run": "r", "benchmark": "planted", "worker": "planted", "origin": "the search split", "tasks": 4}
    return ProductionReport.model_validate({**given, "config": {}, "served": of, "corpus": "c.db", "wall_s": 1.0})


def shown(table: object) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(table)
    return out.getvalue()


def test_the_table_has_a_column_per_release() -> None:
    text = shown(table_of(report(served(), served("b" * 24, episodes=2, correct=0.25))))
    rows = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:4]] for line in text.splitlines()[3:-1]
    }
    assert "release aaaaaaaa" in text and "release bbbbbbbb" in text
    assert rows["episodes"] == ["4", "2"]
    assert rows["correct"] == ["0.500", "0.250"]
    assert rows["decisions by frontier"] == ["24 (75%)", "12 (75%)"]
    assert rows["of them fallbacks"] == ["0 (0%)", "0 (0%)"]


def test_the_lines_say_what_replay_can_use_and_that_a_model_was_down() -> None:
    assert list(lines_of(report(served()))) == ["sentence of 4"]
    two = list(lines_of(report(served(), served("b" * 24, episodes=2, fallbacks=3))))
    assert two == [
        "release aaaaaaaa: sentence of 4",
        "release bbbbbbbb: sentence of 2",
        "release bbbbbbbb: 3 decisions were the fallback's: the model of their policy was down",
    ]


def test_metrics_weigh_releases_by_what_they_did() -> None:
    found = metrics_of(report(served(), served("b" * 24, episodes=2, correct=0.2, fallbacks=4)))
    assert found["success/correct"] == pytest.approx((4 * 0.5 + 2 * 0.2) / 6)
    assert found["tier/frontier/share"] == pytest.approx(0.75)
    assert found["tier/rule/share"] == pytest.approx(0.25)
    assert found["fallback/share"] == pytest.approx(4 / 48)
    assert found["usable/share"] == pytest.approx(4 / 6)
    assert (found["episodes"], found["failed"], found["attempts"]) == (6, 2, 18)


def test_nothing_played_has_no_shares() -> None:
    assert metrics_of(report()) == {"episodes": 0, "failed": 0, "attempts": 0}


def test_the_events_make_one_run_with_a_child_per_release(tmp_path: Path) -> None:
    config = ProductionConfig(benchmark=BENCHMARK, release="release", root=str(tmp_path), tasks=3)
    (tmp_path / REPORT).write_text("{}")
    for _ in range(2):
        with EventLog(tmp_path) as log:
            log.emit(started_event(prepare(config), tmp_path))
            tell(log, tmp_path, report(served(), served("b" * 24)))
    started, first, second, artifact = [event.body for event in read_events(tmp_path / "events.jsonl")]
    assert isinstance(started, SearchStarted)
    assert (started.engine, started.run_id, started.config["tasks"]) == ("production", tmp_path.name, "3")
    assert isinstance(first, CandidateScored) and isinstance(second, CandidateScored)
    assert first.tags["tiller.release"] == "a" * 24
    assert first.metrics["success/correct"] == 0.5
    assert isinstance(artifact, ArtifactWritten) and artifact.path == REPORT
