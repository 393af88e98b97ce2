"""Any callable as a worker."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
import time
from collections.abc import Callable

import pytest

from controllers import Worker
from controllers.testing_workers import WorkerContract, a_context
from controllers.workers.function import FunctionWorker
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Cost, Task

TASK = Task(digest="d", benchmark="b", prompt="What is six times seven?")


def plain(prompt: str, steer: str) -> str:
    return f"{prompt}|{steer}"


async def later(prompt: str, steer: str) -> str:
    await asyncio.sleep(0)
    return f"{prompt}|{steer}"


def whole(task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
    return AttemptResult(output=task.digest, state=f"{start}+{context.seed}", cost=Cost(turns=1, wall_s=9.0))


class Callable3:
    async def __call__(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        return whole(task, context, start)


@pytest.mark.parametrize(
    "function", [plain, later, functools.partial(plain), lambda prompt, steer: later(prompt, steer)]
)
async def test_prompt_and_steer_go_in_and_text_comes_out(function: Callable[..., object]) -> None:
    result = await FunctionWorker(function).attempt(TASK, a_context(steer="Think."), None)
    assert (result.output, result.outcome, result.state) == (f"{TASK.prompt}|Think.", "ok", None)
    assert [event.text for event in result.trace] == [result.output]
    assert result.cost.wall_s is not None
    assert result.cost.turns is None


@pytest.mark.parametrize("function", [whole, Callable3(), functools.partial(Callable3())])
async def test_task_context_and_start_go_in_and_a_result_comes_out(function: Callable[..., object]) -> None:
    result = await FunctionWorker(function).attempt(TASK, a_context(5), "s")
    assert result == AttemptResult(output="d", state="s+5", cost=Cost(turns=1, wall_s=9.0))


@pytest.fixture
def task() -> Task:
    return TASK


class TestSync(WorkerContract):
    @pytest.fixture
    def worker(self) -> Worker:
        return FunctionWorker(plain)


class TestWhole(WorkerContract):
    @pytest.fixture
    def worker(self) -> Worker:
        return FunctionWorker(whole)


async def test_silence_is_empty() -> None:
    result = await FunctionWorker(lambda prompt, steer: " \n").attempt(TASK, a_context(), None)
    assert result.outcome == "empty"


async def test_a_sync_function_runs_beside_the_loop_with_its_context() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("ours")
    barrier = threading.Barrier(3, timeout=10)

    def meet(prompt: str, steer: str) -> str:
        barrier.wait()  # passes only where all three run at once
        return variable.get()

    worker = FunctionWorker(meet)
    results = await asyncio.gather(*(worker.attempt(TASK, a_context(), None) for _ in range(3)))
    assert {result.output for result in results} == {"ours"}


@pytest.mark.parametrize("error", [ValueError("own"), TimeoutError("own"), StopIteration("own"), SystemExit("own")])
async def test_what_it_raises_is_raised(error: BaseException) -> None:
    def raising(prompt: str, steer: str) -> str:
        raise error

    expected = type(error) if isinstance(error, ValueError | TimeoutError) else RuntimeError
    with pytest.raises(expected, match="own"):
        await FunctionWorker(raising).attempt(TASK, a_context(), None)


async def test_another_kind_of_answer_is_an_error() -> None:
    with pytest.raises(TypeError, match="not int"):
        await FunctionWorker(lambda prompt, steer: 3).attempt(TASK, a_context(), None)


async def forever(prompt: str, steer: str) -> str:
    await asyncio.Event().wait()
    return ""


def stuck(prompt: str, steer: str) -> str:
    time.sleep(1.0)
    return ""


@pytest.mark.parametrize("function", [forever, stuck])
async def test_past_the_wall_limit_it_is_a_timeout(function: Callable[..., object]) -> None:
    context = a_context().model_copy(update={"wall_limit_s": 0.05})
    result = await FunctionWorker(function).attempt(TASK, context, None)
    assert (result.output, result.outcome, result.trace[-1].failed) == ("", "timeout", True)
    assert result.cost.wall_s is not None


def test_a_thread_that_finishes_after_the_loop_is_closed_does_no_harm() -> None:
    done = threading.Event()

    def slow(prompt: str, steer: str) -> str:
        done.wait(10)
        return "late"

    context = a_context().model_copy(update={"wall_limit_s": 0.01})
    assert asyncio.run(FunctionWorker(slow).attempt(TASK, context, None)).outcome == "timeout"
    done.set()
    for thread in threading.enumerate():
        if thread.name == "worker function":
            thread.join(10)


@pytest.mark.parametrize("function", [lambda: "", lambda prompt: "", lambda a, b, c, d: "", lambda *args: "", print])
def test_other_arguments_are_refused(function: Callable[..., object]) -> None:
    with pytest.raises(UsageError, match=r"takes \(prompt, steer\) or"):
        FunctionWorker(function)


def test_the_fingerprint_changes_with_source_and_parameters() -> None:
    first, second = FunctionWorker(plain).fingerprint, FunctionWorker(later).fingerprint
    assert (first.name, second.name) == ("plain", "later")
    assert first.params != second.params
    assert FunctionWorker(plain, params={"k": "1"}).fingerprint != first
    assert FunctionWorker(Callable3()).fingerprint.name == "Callable3"
    assert FunctionWorker(plain).fingerprint == first
