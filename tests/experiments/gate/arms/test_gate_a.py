"""Gate A as a whole on the planted world: a worker that ignores steers fails it, and every number is in the report."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from experiments.gate.arms.gate_a import Outcome, prepare, projection, run_gate_a
from experiments.gate_a_run import GateAConfig
from signatures.errors import UsageError

FEW = {"tasks": 8, "surface_tasks": 4, "grid_attempts": [2, 3], "grid_turns": [3], "noise": [0.4], "retest": 4}


def gate(root: Path, **changed: object) -> GateAConfig:
    given = {"benchmark": "tests.worlds.layered:LayeredBenchmark", "turns": 3, "root": str(root), "tracking": False}
    return GateAConfig.model_validate_json(json.dumps({**given, **FEW, **changed}))


def ran(config: GateAConfig) -> Outcome:
    return asyncio.run(run_gate_a(prepare(config), quiet=True))


@pytest.fixture(scope="module")
def deaf(tmp_path_factory: pytest.TempPathFactory) -> tuple[GateAConfig, Outcome]:
    """A worker that follows no directive."""
    config = gate(tmp_path_factory.mktemp("deaf"), options={"compliance": 0.0})
    return config, ran(config)


def test_a_worker_that_ignores_steers_fails_and_is_told_what_follows(deaf: tuple[GateAConfig, Outcome]) -> None:
    report = deaf[1].report
    primary = report.contrasts[0]
    assert primary.name == "refine@3/rule - placebo@3"
    assert primary.evidence.discordant == 0  # with the same seeds, nothing differs but the words
    assert primary.decided is not None
    assert primary.decided.decision == "uninformative"
    assert "Gate A does not pass on planted" in report.sentence
    assert "Within-run steering is off by default for this benchmark and worker" in report.sentence
    assert "learning across runs stays on" in report.sentence
    assert any("discordant pairs: not met" in note for note in report.notes)


def test_the_report_has_all_arms_both_families_and_the_ceiling(deaf: tuple[GateAConfig, Outcome]) -> None:
    report = deaf[1].report
    assert {one.arm for one in report.spend} == {
        *("blind", "random@3", "continue@3", "placebo@3", "refine@3/rule", "long@1")
    }
    assert {one.family for one in report.contrasts} == {"steering", "more compute", "further objectives"}
    assert all(one.evidence.q is not None for one in report.contrasts if one.family != "further objectives")
    for name in ("oracle", "rescue rate", "selector flip rate", "disagreement of two seeds"):
        assert any(name in key for key in report.numbers), name
    assert {one.excluded for one in report.excluded} == {0}


def test_the_surface_is_over_budget_noise_and_difficulty(deaf: tuple[GateAConfig, Outcome]) -> None:
    _, outcome = deaf
    cells = outcome.report.data["cells"]
    assert isinstance(cells, list)
    panels = {cell["panel"] for cell in cells if isinstance(cell, dict)}
    assert panels == {"budget", "noise", "difficulty", "family"}
    assert Path(outcome.paths["figure"]).read_bytes().startswith(b"\x89PNG")
    assert "![surface.png](surface.png)" in Path(outcome.paths["page"]).read_text()


def test_run_again_it_attempts_nothing_and_says_the_same(deaf: tuple[GateAConfig, Outcome]) -> None:
    config, outcome = deaf
    corpus = Path(config.root) / "corpus-planted.db"
    before = (corpus.stat().st_size, Path(outcome.paths["report"]).read_bytes())
    assert ran(config) == outcome
    assert (corpus.stat().st_size, Path(outcome.paths["report"]).read_bytes()) == before


def test_the_projection_bounds_what_is_spent(deaf: tuple[GateAConfig, Outcome]) -> None:
    config, outcome = deaf
    most, said = projection(prepare(config))
    assert f"at most {most:,} attempts" in said
    assert sum(one.attempts or 0 for one in outcome.report.spend) <= most


def test_what_cannot_run_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for wrong, message in (
        ({"refine": "nothing"}, "is one of core, fan"),
        ({"refine": "text"}, "is one of"),
        ({"noise": [2.0]}, "noise"),
        ({"noise_option": "volume"}, "volume"),
        ({"grid_attempts": [9]}, "grid_attempts"),
        ({"tasks": 999}, "999 tasks asked"),
    ):
        with pytest.raises(UsageError, match=message):
            prepare(gate(tmp_path, **wrong))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_steering_that_works_passes(tmp_path: Path) -> None:
    config = gate(tmp_path, tasks=160, repeats=1, surface_tasks=0, options={"noise": 0.0}, min_effect=0.0, margin=0.3)
    report = ran(config).report
    assert "Gate A passes on planted" in report.sentence
    primary = report.contrasts[0]
    assert primary.decided is not None
    assert primary.decided.decision == "promote"
    assert primary.evidence.lo is not None
    assert primary.evidence.lo > 0
