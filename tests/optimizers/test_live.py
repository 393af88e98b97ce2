"""Live evaluation: limits and faults end an episode early, and what was attempted before is billed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controllers.baselines import seed_candidate
from controllers.program import program_candidate
from controllers.scripted_engine import ScriptedEngine, scripted_lm
from optimizers.evaluator import Request
from optimizers.meter import Limits
from optimizers.testing_world import TASKS, PlantedObserver, Problem
from tests.controllers.parts import action_text


async def test_a_limit_sets_the_rest_aside_and_bills_what_was_attempted(tmp_path: Path) -> None:
    problem = Problem(concurrency=1)
    with problem.evaluator(tmp_path, Limits(attempts=11)) as evaluator:
        scored = [one.score for one in await evaluator.evaluate(Request(seed_candidate(), TASKS, seed=1))]
        spent, over = evaluator.meter.spent(), evaluator.meter.over()
        assert not evaluator.affords(1)
    assert problem.worker.attempts == 11 == spent.attempts == spent.compute
    whole, aside = [s for s in scored if not s.set_aside], [s for s in scored if s.set_aside]
    assert whole and aside and all(s.cut.startswith("attempts") for s in aside)
    assert scored == [*whole, *aside], "in order, nothing after the first that was cut"
    assert sum(s.spent.attempts or 0 for s in scored) == 11
    assert all(value is None for s in aside for value in s.values.values())
    assert over is not None and over.startswith("attempts: 11 of 11")


async def test_executed_again_it_ends_the_same_and_attempts_nothing(tmp_path: Path) -> None:
    problem = Problem(concurrency=3)
    ends = []
    for _ in range(2):
        with problem.evaluator(tmp_path, Limits(usd=0.115)) as evaluator:
            scored = await evaluator.evaluate(Request(seed_candidate(), TASKS, seed=1))
            ends.append(([one.score for one in scored], evaluator.meter.spent()._replace(wall_s=0)))
            ends[-1] = (*ends[-1], evaluator.meter.over())  # type: ignore[assignment]
            attempts = problem.worker.attempts
    assert ends[0] == ends[1] and problem.worker.attempts == attempts
    assert 0.10 < ends[0][1].usd <= 0.125


@pytest.mark.parametrize("limits", [Limits(usd=0.095), Limits(compute=17), Limits(attempts=23), Limits(tokens=3_333)])
async def test_killed_before_the_journal_it_ends_the_same(tmp_path: Path, limits: Limits) -> None:
    """The corpus holds the attempts: they count against the limit as they did, whatever ran at once."""
    problem = Problem(concurrency=8)
    ends = []
    for name in ("first", "killed"):
        with problem.evaluator(tmp_path / name, limits) as evaluator:
            scored = await evaluator.evaluate(Request(seed_candidate(), TASKS, seed=1))
            ends.append([one.score for one in scored])
            attempts = problem.worker.attempts
    assert ends[0] == ends[1] and problem.worker.attempts == attempts


async def test_a_fault_is_worth_nothing_and_billed(tmp_path: Path) -> None:
    faulty = TASKS[2].digest
    problem = Problem(observer=PlantedObserver(frozenset({faulty})))
    with problem.evaluator(tmp_path) as evaluator:
        request = Request(seed_candidate(), TASKS[:4], seed=1, keep_rollouts=True)
        scored = await evaluator.evaluate(request)
        again = await evaluator.evaluate(request)
        spent = evaluator.meter.spent()
    fault = scored[2].score
    assert fault.fault == "error: it failed on purpose" and set(fault.values.values()) == {0.0}
    assert fault.failure is None and not fault.set_aside and fault.spent.attempts == 1
    assert [one.score.fault != "" for one in scored] == [False, False, True, False]
    assert [one.score for one in again] == [one.score for one in scored] and again[2].rollout is None
    assert spent.attempts == problem.worker.attempts


async def test_where_minutes_are_limited_the_journal_is_timed(tmp_path: Path) -> None:
    problem = Problem()
    with problem.evaluator(tmp_path, Limits(minutes=60)) as evaluator:
        await evaluator.evaluate(Request(seed_candidate(), TASKS[:4], seed=1))
        took = evaluator.meter.spent().wall_s
    assert took > 0 and f'"wall":{took}' in (tmp_path / "journal.jsonl").read_text().replace(" ", "")
    with problem.evaluator(tmp_path, Limits(minutes=60)) as evaluator:
        assert evaluator.meter.spent().wall_s == 0
        await evaluator.evaluate(Request(seed_candidate(), TASKS[:4], seed=1))
        assert evaluator.meter.spent().wall_s == took, "earlier executions count"


@pytest.mark.parametrize("concurrency", [1, 8])
async def test_without_limits_nothing_is_asked(tmp_path: Path, concurrency: int) -> None:
    problem = Problem(concurrency=concurrency)
    with problem.evaluator(tmp_path) as evaluator:
        scored = await evaluator.evaluate(replace(Request(seed_candidate(), TASKS[:6], seed=1)))
    assert not any(one.score.cut or one.score.fault or one.score.set_aside for one in scored)


def words(engine: ScriptedEngine, answer: str) -> int:
    """What the questions and their answers cost: a scripted engine bills words as tokens."""
    return sum(len(prompt.split()) + len(answer.split()) for prompt in engine.prompts)


async def test_what_a_program_consulted_before_it_failed_is_billed(tmp_path: Path) -> None:
    source = """async def strategy(ctx):
    shot = await ctx.shot()
    word = await ctx.consult("steer", ["left", "right"])
    x = 1 // shot.index
"""
    lm, engine = scripted_lm(lambda prompt: action_text("left"))
    with Problem(lm=lm).evaluator(tmp_path) as evaluator:
        await evaluator.evaluate(Request(program_candidate(source, lm), TASKS[:3], seed=1))
        spent = evaluator.meter.spent()
    assert len(engine.prompts) == 3 and spent.tokens >= words(engine, action_text("left")) > 0


async def test_what_was_consulted_before_the_first_attempt_is_spent_again_when_recalled(
    tmp_path: Path,
) -> None:
    source = """async def strategy(ctx):
    word = await ctx.consult("steer", ["left", "right"])
    shot = await ctx.shot()
    shot = await ctx.shot(start="last", steer=word)
"""
    lm, engine = scripted_lm(lambda prompt: action_text("left"))
    problem, found = Problem(lm=lm), []
    for name in ("first", "killed before the journal"):
        with problem.evaluator(tmp_path / name) as evaluator:
            request = Request(program_candidate(source, lm), TASKS[:3], seed=1)
            found.append([one.score for one in await evaluator.evaluate(request)])
    assert found[0] == found[1] and problem.worker.attempts == 6 and len(engine.prompts) == 3
