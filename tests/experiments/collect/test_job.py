"""A whole run of collecting, in this process: its limits, its second time, and what it buys."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydantic import JsonValue

from controllers import Worker
from experiments.collect.job import project, run_collect
from experiments.collect.parts import Prepared, opened, prepare, survey
from experiments.collect.report import Outcome
from experiments.collect.top_up_log import TopUp, TopUpLog, top_ups_beside
from signatures.errors import UsageError
from signatures.records import Attempt, AttemptContext, AttemptResult, Decision, Episode, Task, WorkerFingerprint
from tests.worlds.planted import CountingWorker
from tests.worlds.small_collect import MOST, small_collect


@dataclass
class Priced:
    """A worker whose every attempt costs 0.5 usd."""

    inner: Worker

    @property
    def fingerprint(self) -> WorkerFingerprint:
        return self.inner.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        result = await self.inner.attempt(task, context, start)
        return result.model_copy(update={"cost": result.cost.model_copy(update={"usd": 0.5})})


def counted(root: Path, *, priced: bool = False, **changed: JsonValue) -> tuple[Prepared, CountingWorker]:
    given = prepare(small_collect(root, **changed))
    worker = CountingWorker(Priced(given.worker) if priced else given.worker)
    return replace(given, worker=worker), worker


async def ran(given: Prepared) -> Outcome:
    return await run_collect(given, quiet=True)


async def test_the_projection_is_kept_and_the_second_time_costs_nothing(tmp_path: Path) -> None:
    given, worker = counted(tmp_path)
    before = await project(given)
    assert before == {
        "attempts": MOST,
        "said": "at most 54 attempts: 18 in 6 stochastic episodes, 36 in 3 trees",
    }
    first = await ran(given)
    assert 0 < len(worker.calls) == first.made.attempts <= MOST
    again = await ran(given)
    assert len(worker.calls) == first.made.attempts
    assert again == first.model_copy(update={"made": again.made})
    assert again.made.attempts == 0
    assert (await project(given))["attempts"] == 0
    assert sum(cell.attempts for cell in first.cells) == len(worker.calls)
    assert first.cells[0].in_trees == 6


async def test_every_draw_has_its_propensity_and_the_floor(tmp_path: Path) -> None:
    given, _ = counted(tmp_path, floor=0.1)
    await ran(given)
    with opened(given) as parts:
        decisions = [d async for d in parts.setup.corpus.scan(Decision)]
        drawn = {e.id async for e in parts.setup.corpus.scan(Episode) if e.condition == "stochastic"}
    assert decisions
    for decision in decisions:
        assert decision.episode_id in drawn
        assert decision.propensity == decision.probabilities[decision.action] >= 0.1
        assert min(decision.probabilities.values()) >= 0.1 - 1e-12
        assert sum(decision.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize("limit", [0, 5, 17, 30, 41])
async def test_a_limit_in_attempts_holds_over_all_runs_together(tmp_path: Path, limit: int) -> None:
    given, worker = counted(tmp_path, max_attempts=limit)
    first = await ran(given)
    assert len(worker.calls) == first.made.attempts <= limit
    assert first.unaffordable > 0
    again = await ran(given)
    assert (again.made.attempts, again.unaffordable) == (0, first.unaffordable)
    assert len(worker.calls) <= limit


async def test_a_limit_in_money_holds_over_all_runs_together(tmp_path: Path) -> None:
    given, worker = counted(tmp_path, priced=True, max_usd=10.0, attempt_usd=0.5)
    first = await ran(given)
    assert first.made.usd == len(worker.calls) * 0.5 <= 10.0
    assert first.unaffordable > 0
    cheaper, worker = counted(tmp_path, priced=True, max_usd=12.0)  # the price is known now
    again = await ran(cheaper)
    assert (first.made.usd or 0) + (again.made.usd or 0) <= 12.0
    assert again.made.attempts == len(worker.calls)


async def test_a_limit_in_money_needs_a_price(tmp_path: Path) -> None:
    given, worker = counted(tmp_path, max_usd=10.0)
    with pytest.raises(UsageError, match="max_usd needs attempt_usd"):
        await project(given)
    with pytest.raises(UsageError, match="max_usd needs attempt_usd"):
        await ran(given)
    assert worker.calls == []


async def test_what_is_collected_does_not_depend_on_how_much_at_once(tmp_path: Path) -> None:
    found: list[set[str]] = []
    for concurrency in (1, 16):
        given, _ = counted(tmp_path / str(concurrency), max_attempts=30, concurrency=concurrency)
        await ran(given)
        with opened(given) as parts:
            found.append({a.id async for a in parts.setup.corpus.scan(Attempt)})
    assert found[0] == found[1]


# Top-ups.


async def test_a_top_up_buys_what_is_neediest_and_the_next_one_buys_more(tmp_path: Path) -> None:
    given, worker = counted(tmp_path, plan="branching", depth=2)
    before = await ran(given)
    calls = len(worker.calls)
    buyer, worker = counted(tmp_path, plan="branching", depth=2, top_up=8)
    first = await ran(buyer)
    assert len(worker.calls) == first.made.attempts == 8
    assert sum(c.attempts for c in first.cells) == calls + 8
    gained = {(c.depth, c.action): c.attempts for c in first.cells}
    neediest = before.buy[0]
    assert gained[neediest.depth, neediest.action] > neediest.attempts
    second = await ran(buyer)
    assert second.made.attempts == 8
    assert max(c.need for c in second.cells) < max(c.need for c in before.cells)
    assert (await ran(given)).made.attempts == 0  # the plan has all it asked for


async def test_a_top_up_stays_within_its_attempts_and_its_money(tmp_path: Path) -> None:
    given, _ = counted(tmp_path, priced=True, plan="branching", depth=3)
    await ran(given)
    buyer, worker = counted(tmp_path, priced=True, plan="branching", depth=3, top_up=40, max_usd=9.0)
    outcome = await ran(buyer)
    assert 0 < len(worker.calls) <= 18
    assert (outcome.made.usd or 0) <= 9.0


async def test_a_top_up_of_a_corpus_without_trees_buys_fresh_attempts_and_what_grows_from_them(tmp_path: Path) -> None:
    buyer, worker = counted(tmp_path, top_up=12)
    outcome = await ran(buyer)
    assert 0 < len(worker.calls) <= 12
    assert outcome.trees == 2  # a root can take six attempts
    with opened(buyer) as parts:
        gathered = await survey(buyer, parts.setup)
    for found in gathered.values():
        parents = {a.parent_id for a in found.tree}
        for attempt in found.tree:
            check = attempt.check("correct")
            if attempt.parent_id is None and check is not None and not check.passed:
                assert attempt.id in parents


async def test_a_top_up_too_small_for_anything_is_refused(tmp_path: Path) -> None:
    buyer, worker = counted(tmp_path, top_up=1)
    with pytest.raises(UsageError, match="top_up=1 pays for nothing"):
        await ran(buyer)
    assert worker.calls == []
    with TopUpLog(top_ups_beside(buyer.path)) as log:
        assert log.pending is None


async def cut_short(given: Prepared, worker: CountingWorker, calls: int) -> None:
    """A run that is cancelled in its attempt number `calls`."""
    running = asyncio.create_task(ran(given))

    def cancelling(task: Task, call: int) -> None:
        if call == calls:
            running.cancel()

    worker.fails = cancelling
    with pytest.raises(asyncio.CancelledError):
        await running
    worker.fails = lambda task, call: None


async def test_an_interrupted_top_up_ends_as_if_it_never_was(tmp_path: Path) -> None:
    found: list[set[str]] = []
    for calls in (None, 1, 4, 8):
        given, _ = counted(tmp_path / str(calls), plan="branching")
        await ran(given)
        buyer, worker = counted(tmp_path / str(calls), plan="branching", top_up=8, concurrency=1)
        if calls is not None:
            await cut_short(buyer, worker, calls)
        await ran(buyer)
        with opened(buyer) as parts:
            found.append({a.id async for a in parts.setup.corpus.scan(Attempt)})
        assert len({id for _, id in worker.calls}) == 8
    assert all(one == found[0] for one in found)


async def test_a_top_up_of_other_parts_is_not_gone_on_with(tmp_path: Path) -> None:
    given, _ = counted(tmp_path, top_up=8)
    with TopUpLog(top_ups_beside(given.path)) as log:
        log.begin(TopUp(attempts=8, made_with="others", purchases=()))
    with pytest.raises(UsageError, match="was interrupted, and it was made with other parts"):
        await ran(given)


async def test_the_projection_of_a_top_up_is_what_it_was_given(tmp_path: Path) -> None:
    assert (await project(counted(tmp_path, top_up=8)[0]))["attempts"] == 8
