"""The ladder: a rung that does not beat random@k ends the walk, a dear one is compared with a dearer control."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from controllers.scripted_engine import scripted_lm
from experiments.gate.arms.ladder import RUNGS, Ladder, Outcome, prepare, projection, run_ladder
from experiments.rung_run import RungConfig
from signatures.errors import EvidenceError, UsageError
from tests.experiments.gate.arms.test_driver import said


def ladder(root: Path, **changed: object) -> Ladder:
    given = {"benchmark": "tests.worlds.layered:LayeredBenchmark", "turns": 3, "tasks": 40, "repeats": 1}
    easy = {"fixed": "core", "options": {"noise": 0.0}, "min_effect": 0.0, "root": str(root), "tracking": False}
    return prepare(RungConfig.model_validate({**given, **easy, **changed}))


def walk(plan: Ladder) -> Outcome:
    return asyncio.run(run_ladder(plan, quiet=True))


def rungs_of(outcome: Outcome) -> list[str]:
    return [one.family for one in outcome.report.contrasts if one.family.startswith("rung ")]


def test_a_rung_that_wins_lets_the_next_one_be_tried(tmp_path: Path) -> None:
    outcome = walk(ladder(tmp_path))
    assert rungs_of(outcome) == ["rung none", "rung fixed", "rung report"]
    assert outcome.refused == ()
    assert "highest rung that beats random@k at as much compute is report" in outcome.report.sentence
    assert "text and agent need a model" in outcome.report.sentence
    outcome.require("report")


def test_a_rung_that_does_not_win_ends_the_walk_and_the_dearer_ones_are_refused(tmp_path: Path) -> None:
    outcome = walk(ladder(tmp_path, tasks=3, rung="report"))
    assert rungs_of(outcome) == ["rung none"]
    assert outcome.refused == ("fixed", "report")
    assert "none has not beaten random@3 here" in outcome.why
    with pytest.raises(EvidenceError, match="rung report is refused: none has not beaten"):
        outcome.require("report")
    outcome.require("none")
    outcome.require(None)


def test_a_rung_without_its_parts_is_left_out_or_the_callers_mistake(tmp_path: Path) -> None:
    assert ladder(tmp_path).rungs == ("none", "fixed", "report")
    assert ladder(tmp_path, rung="fixed").rungs == ("none", "fixed")
    for rung in ("text", "agent"):
        with pytest.raises(UsageError, match="needs --lm MODEL"):
            ladder(tmp_path, rung=rung)
    with pytest.raises(UsageError, match="no directive; there are fan, pump, valve, core"):
        ladder(tmp_path, fixed="nothing")


def test_a_model_beside_a_worker_without_tokens_is_confounded_and_stops_the_walk(tmp_path: Path) -> None:
    """No number of random attempts makes up for its tokens, so the agentic rung stays untried."""
    lm, engine = scripted_lm(lambda prompt: said(steer="Work on the fan before anything else."))
    plan = ladder(tmp_path)
    plan = replace(plan, world=replace(plan.world, lm=lm), rungs=RUNGS)
    outcome = walk(plan)
    assert engine.prompts
    text = next(one for one in outcome.report.contrasts if one.family == "rung text")
    assert text.decided is not None
    assert text.decided.decision == "confounded"
    assert "tokens" in text.confounded[0]
    assert outcome.refused == ("agent",)
    spend = {one.arm: one.tokens for one in outcome.report.spend}
    assert spend["random@3"] is None
    assert spend["refine@3/text"]


def test_the_projection_bounds_what_is_spent(tmp_path: Path) -> None:
    plan = ladder(tmp_path)
    most, said_ = projection(plan)
    assert f"at most {most:,} attempts" in said_
    outcome = walk(plan)
    assert sum(one.attempts or 0 for one in outcome.report.spend) <= most


def test_walked_again_it_is_the_same_and_attempts_nothing(tmp_path: Path) -> None:
    first = walk(ladder(tmp_path, tasks=10))
    size = (tmp_path / "corpus-planted.db").stat().st_size
    assert walk(ladder(tmp_path, tasks=10)) == first
    assert (tmp_path / "corpus-planted.db").stat().st_size == size
