"""Contract suites for workers and checkers: subclass one, give its fixtures, and pytest runs it on your class.

The tests are async: they need pytest-asyncio with `asyncio_mode = "auto"`.
"""

from __future__ import annotations

import asyncio

from controllers import Checker, Worker
from signatures.records import AttemptContext, AttemptResult, CheckerResult, Steer, Task


def a_context(seed: int = 1, *, steer: str = "", turns_limit: int | None = 4) -> AttemptContext:
    """A context such as the loop would give."""
    told = Steer(kind="fixed", action="text", text=steer) if steer else Steer()
    return AttemptContext(attempt_id=f"attempt-{seed}", steer=told, seed=seed, turns_limit=turns_limit)


class WorkerContract:
    """What every worker owes. Fixtures to give: `worker` and a `task` it can attempt."""

    deterministic = True
    "whether equal tasks, contexts and start states give equal results, wall time aside"

    def test_the_fingerprint_stays_the_same(self, worker: Worker) -> None:
        """Equal fingerprints mean the same worker, so one worker has one."""
        assert worker.fingerprint == worker.fingerprint
        assert worker.fingerprint.name

    async def test_an_attempt_gives_a_whole_result(self, worker: Worker, task: Task) -> None:
        """A record that can be stored, with events in the order of their turns."""
        result = await worker.attempt(task, a_context(), None)
        assert AttemptResult.model_validate_json(result.model_dump_json()) == result
        turns = [event.turn for event in result.trace]
        assert turns == sorted(turns)

    async def test_a_steer_is_taken(self, worker: Worker, task: Task) -> None:
        """Whatever it is told, it answers with a result."""
        assert isinstance(await worker.attempt(task, a_context(steer="Look again, carefully."), None), AttemptResult)

    async def test_the_turns_limit_is_kept(self, worker: Worker, task: Task) -> None:
        """Where turns are counted, there are no more than the context allows."""
        result = await worker.attempt(task, a_context(turns_limit=2), None)
        assert result.cost.turns is None or result.cost.turns <= 2

    async def test_its_state_can_be_gone_on_from(self, worker: Worker, task: Task) -> None:
        """Where a state is kept, a second attempt can start from it."""
        first = await worker.attempt(task, a_context(1), None)
        if first.state is not None:
            second = await worker.attempt(task, a_context(2), first.state)
            assert second.state is not None

    async def test_attempts_at_once_do_not_mix(self, worker: Worker, task: Task) -> None:
        """Attempts beside each other give what each gives alone."""
        contexts = [a_context(seed) for seed in (1, 2, 3)]
        together = await asyncio.gather(*(worker.attempt(task, context, None) for context in contexts))
        assert len(together) == 3
        if self.deterministic:
            alone = [await worker.attempt(task, context, None) for context in contexts]
            assert [_untimed(result) for result in together] == [_untimed(result) for result in alone]


class CheckerContract:
    """What every checker owes. Fixtures to give: `checker`, `task`, and a `result` it can measure."""

    async def test_it_reports_on_its_objective(self, checker: Checker, task: Task, result: AttemptResult) -> None:
        """One objective, one unit, a record that can be stored."""
        found = await checker.check(task, result)
        assert found.objective == checker.objective
        assert CheckerResult.model_validate_json(found.model_dump_json()) == found

    async def test_it_says_the_same_twice(self, checker: Checker, task: Task, result: AttemptResult) -> None:
        """A checker looks, it does not draw; only what a clock measured may differ."""
        first, second = await checker.check(task, result), await checker.check(task, result)
        assert first == second or first.timed

    async def test_an_attempt_that_left_nothing_is_no_error(self, checker: Checker, task: Task) -> None:
        """It measures it, or says that it cannot."""
        found = await checker.check(task, AttemptResult(output="", outcome="empty"))
        assert found.value is not None or found.detail


def _untimed(result: AttemptResult) -> AttemptResult:
    return result.model_copy(update={"cost": result.cost.model_copy(update={"wall_s": None})})
