"""A controller over a worker is a worker: one budget, one result, one place where infrastructure fails."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers import Worker
from controllers.loop import run_episode
from controllers.observe import NoObserver
from controllers.program import controller_of, program_candidate
from controllers.programs import builtin
from controllers.retry import RetryPolicy
from controllers.steers import steer_table
from controllers.testing_workers import WorkerContract, a_context
from controllers.workers.controlled import ControlledWorker, Inner
from controllers.workers.scripted import ScriptedWorker
from signatures.errors import ProgramFault, UsageError, WorkerError
from signatures.records import Candidate, Cost, Task
from tests.controllers.parts import DIRECTIVES, FANOUT_3, Climber, Height, a_spec, a_task, climbing, fails_at, parts_of

NO_WAIT = RetryPolicy(base_s=0.0, cap_s=0.0)


def controlled(worker: Worker, candidate: Candidate | None = None, **changes: object) -> ControlledWorker:
    inner = Inner(
        controller=controller_of(candidate or climbing()),
        worker=worker,
        checkers=(Height(),),
        steers=steer_table(DIRECTIVES, NoObserver()),
        retry=NO_WAIT,
    )
    return ControlledWorker(replace(inner, **changes))  # type: ignore[arg-type]


class TestContract(WorkerContract):
    @pytest.fixture
    def worker(self) -> Worker:
        return controlled(Climber(), turns_per_attempt=1)

    @pytest.fixture
    def task(self) -> Task:
        return a_task()


class TestContractWithAProgramInside(WorkerContract):
    @pytest.fixture
    def worker(self) -> Worker:
        return controlled(Climber(), builtin.refine(), turns_per_attempt=1)

    @pytest.fixture
    def task(self) -> Task:
        return a_task()


async def test_an_attempt_is_a_whole_episode() -> None:
    climber = Climber()
    result = await controlled(climber).attempt(a_task(), a_context(turns_limit=None), None)
    assert (result.output, result.state, result.outcome) == ("at 3", "3", "ok")
    assert result.cost.turns == 9
    assert climber.starts == [None, "1", "2"]
    said = [event.text for event in result.trace if event.name == "inner attempt"]
    assert said == [
        "inner attempt 0, fresh, told none: ok",
        "inner attempt 1, on from 0, told none: ok",
        "inner attempt 2, on from 1, told none: ok",
    ]
    assert sum(event.name == "step" for event in result.trace) == 9


async def test_a_fresh_inner_attempt_starts_where_the_outer_one_does_and_is_told_that_too() -> None:
    climber = Climber()
    context = a_context(steer="Mind the gap.", turns_limit=None)
    result = await controlled(climber, FANOUT_3).attempt(a_task(), context, "1")
    assert climber.starts == ["1", "1", "1"]
    assert {told.steer.text for told in climber.contexts} == {"Mind the gap."}
    assert result.output == "at 2"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 12), st.integers(1, 5), st.sampled_from([None, 1, 2, 3]), st.booleans())
def test_inner_turns_never_exceed_the_outer_limit_and_all_are_billed(
    limit: int, attempts: int, each: int | None, fan: bool
) -> None:
    climber = Climber()
    worker = controlled(climber, FANOUT_3 if fan else None, attempts=attempts, turns_per_attempt=each)
    result = asyncio.run(worker.attempt(a_task(), a_context(turns_limit=limit), None))
    taken = sum(min(3, told.turns_limit if told.turns_limit is not None else 3) for told in climber.contexts)
    assert result.cost.turns == taken <= limit
    assert len(climber.contexts) <= attempts


async def test_the_same_seed_gives_the_same_and_another_seed_another() -> None:
    worker = controlled(ScriptedWorker(), checkers=())
    one, same, other = [await worker.attempt(a_task(), a_context(seed), None) for seed in (1, 1, 2)]
    untimed = Cost(turns=0)
    assert one.model_copy(update={"cost": untimed}) == same.model_copy(update={"cost": untimed})
    assert one.model_copy(update={"cost": untimed}) != other.model_copy(update={"cost": untimed})


async def test_what_fails_inside_fails_the_outer_attempt_and_is_not_tried_again_there() -> None:
    climber = Climber(before=fails_at(1, 2, 3, error=ConnectionError("gone")))
    parts = parts_of(controlled(climber))
    rollout = await run_episode(a_spec(attempts=2), parts)
    assert rollout.episode.failure is not None
    assert "gone" in rollout.episode.failure.message
    assert rollout.episode.failure.tries == 1
    assert len(climber.contexts) == 4  # one that worked, three tries of the second
    with pytest.raises(WorkerError, match="inner worker climber"):
        await controlled(Climber(before=fails_at(0, error=ValueError("no")))).attempt(a_task(), a_context(), None)


async def test_at_the_wall_limit_the_best_so_far_counts() -> None:
    reached = asyncio.Event()

    async def before(call: int) -> None:
        if call == 1:
            reached.set()
            await asyncio.Event().wait()

    context = a_context(turns_limit=None).model_copy(update={"wall_limit_s": 0.2})
    result = await controlled(Climber(before=before)).attempt(a_task(), context, None)
    assert reached.is_set()
    assert (result.output, result.outcome, result.cost.turns) == ("at 1", "timeout", 3)
    assert result.trace[-1].name == "timeout"


async def test_drivers_drive_drivers_up_to_three_deep() -> None:
    worker: Worker = Climber()
    for _ in range(3):
        worker = controlled(worker, attempts=2, turns_per_attempt=None)
    result = await worker.attempt(a_task(), a_context(turns_limit=None), None)
    assert int(result.state or 0) >= 3
    with pytest.raises(UsageError, match="nested 4 deep; at most 3"):
        await controlled(worker).attempt(a_task(), a_context(), None)


async def test_a_program_that_fails_inside_says_so() -> None:
    broken = program_candidate("async def strategy(ctx):\n    shot = await ctx.shot()\n    shot = 1 // 0\n")
    with pytest.raises(ProgramFault):
        await controlled(Climber(), broken).attempt(a_task(), a_context(), None)


async def test_nothing_attempted_is_an_empty_result() -> None:
    idle = program_candidate("async def strategy(ctx):\n    return\n")
    result = await controlled(Climber(), idle).attempt(a_task(), a_context(), None)
    assert (result.output, result.outcome, result.cost.turns, result.trace) == ("", "empty", 0, ())


def test_another_controller_or_cut_is_another_worker() -> None:
    workers = [controlled(Climber()), controlled(Climber(), FANOUT_3), controlled(Climber(), attempts=2)]
    workers.append(controlled(Climber(turns=2)))
    assert len({str(worker.fingerprint) for worker in workers}) == 4
