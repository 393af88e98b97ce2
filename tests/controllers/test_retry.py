from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controllers.executor import AsyncExecutor
from controllers.loop import run_episode
from controllers.retry import Breaker, RetryPolicy, with_retries
from controllers.spec import Rollout
from signatures.errors import FirewallBreach, Outage, ProviderError, WorkerError
from signatures.records import Amounts, Attempt, Episode, Failure, Task
from tests.controllers.parts import NO_WAIT, Climber, a_spec, a_task, parts_of

FAILURE = Failure(error="WorkerError", message="no route", where="worker w")


class Calls:
    """Raises the errors in turn, then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.count = 0

    async def __call__(self) -> str:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def passing(message: str = "busy", after: float | None = None) -> ProviderError:
    return ProviderError(message, retryable=True, retry_after_s=after)


@pytest.mark.parametrize("failures", [0, 1, 2])
async def test_what_passes_is_tried_until_it_answers(failures: int) -> None:
    call = Calls(*(passing() for _ in range(failures)))
    assert await with_retries(call, "model x", NO_WAIT) == "answer"
    assert call.count == failures + 1


async def test_three_tries_at_most() -> None:
    call = Calls(*(passing(f"busy {n}") for n in range(9)))
    failure = await with_retries(call, "model x", NO_WAIT)
    assert failure == Failure(error="ProviderError", message="busy 2", where="model x", tries=3)
    assert call.count == 3


async def test_what_does_not_pass_is_tried_once() -> None:
    call = Calls(WorkerError("no such program"))
    failure = await with_retries(call, "worker w", NO_WAIT)
    assert failure == Failure(error="WorkerError", message="no such program", where="worker w", tries=1)
    assert call.count == 1


@pytest.mark.parametrize("error", [FirewallBreach("a verdict"), Outage("ten in a row"), KeyError("a bug")])
async def test_what_is_no_failure_of_the_call_is_raised(error: Exception) -> None:
    call = Calls(error)
    with pytest.raises(type(error)) as caught:
        await with_retries(call, "worker w", NO_WAIT)
    assert caught.value is error
    assert call.count == 1


def test_waits_double_and_a_named_time_wins_up_to_the_cap() -> None:
    policy = RetryPolicy(base_s=0.5, cap_s=30.0)
    assert [policy.wait_s(tried, None) for tried in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert (policy.wait_s(1, 7.0), policy.wait_s(1, 0.1), policy.wait_s(1, 900.0)) == (7.0, 0.5, 30.0)


@given(st.integers(1, 3), st.none() | st.floats(0, 1e6))
def test_no_wait_is_shorter_than_asked_or_longer_than_the_cap(tried: int, asked: float | None) -> None:
    policy = RetryPolicy(base_s=0.01, cap_s=5.0)
    assert min(asked or 0.0, 5.0) <= policy.wait_s(tried, asked) <= 5.0


async def test_the_named_time_is_what_is_waited() -> None:
    class Told(RetryPolicy):
        def wait_s(self, tried: int, asked_s: float | None) -> float:
            asked.append((tried, asked_s))
            return 0.0

    asked: list[tuple[int, float | None]] = []
    await with_retries(Calls(passing(after=7.0), passing()), "model x", Told())
    assert asked == [(1, 7.0), (2, None)]


@pytest.mark.parametrize("bad", [{"tries": 0}, {"tries": 4}, {"base_s": -1.0}, {"cap_s": -1.0}])
def test_a_policy_that_makes_no_sense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        RetryPolicy.model_validate(bad)


def test_the_breaker_opens_at_ten_in_a_row_and_stays_open() -> None:
    breaker = Breaker()
    for _ in range(9):
        breaker.failed(FAILURE)
    breaker.check()
    with pytest.raises(Outage, match="10 infrastructure failures in a row; the last: no route"):
        breaker.failed(FAILURE)
    with pytest.raises(Outage):
        breaker.check()


def test_one_success_starts_the_count_again() -> None:
    breaker = Breaker(limit=3)
    for _ in range(20):
        breaker.failed(FAILURE)
        breaker.failed(FAILURE)
        breaker.succeeded()
    breaker.check()


def always(error: Exception) -> Callable[[int], Awaitable[None]]:
    async def before(call: int) -> None:
        raise error

    return before


@pytest.mark.parametrize(
    ("error", "tries"), [(RuntimeError("no such program"), 1), (ConnectionError("refused"), 3)], ids=["gone", "passing"]
)
async def test_a_worker_that_always_fails_stops_the_run_early_and_costs_nothing(error: Exception, tries: int) -> None:
    worker = Climber(before=always(error))
    parts = parts_of(worker)
    concurrency = 4

    async def play(task: Task) -> Rollout:
        return await run_episode(a_spec(task=task), parts)

    with pytest.raises(Outage, match="10 infrastructure failures in a row"):
        await AsyncExecutor(concurrency).map(play, [a_task(str(n)) for n in range(400)])
    assert len(worker.contexts) <= (10 + concurrency) * tries
    assert len(worker.contexts) < 0.05 * 400 * 3
    recorded = [one async for one in parts.corpus.scan(Attempt)]
    assert recorded
    assert all(one.failure is not None and one.failure.tries == tries for one in recorded)
    episodes = [one async for one in parts.corpus.scan(Episode)]
    assert [one.spent for one in episodes] == [Amounts()] * len(episodes)
    assert all(one.selected_id is None and one.failure is not None for one in episodes)
