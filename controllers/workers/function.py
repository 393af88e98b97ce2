"""A worker that is any Python callable, sync or async."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType

from signatures.digest import digest_text
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Cost, Task, TraceEvent, WorkerFingerprint

__all__ = ["FunctionWorker"]


class FunctionWorker:
    """Calls `function(prompt, steer_text)` or `function(task, context, start)`, which returns text or a result.

    A sync function runs in a thread of its own. What the function raises is an infrastructure failure. Past
    `context.wall_limit_s` the attempt is a `timeout`; an async function is cancelled then, a thread cannot be stopped
    and runs on unheard.
    """

    def __init__(
        self,
        function: Callable[..., object],
        *,
        name: str | None = None,
        params: Mapping[str, str] | None = None,
    ) -> None:
        """`params`: settings of the function that make it another worker. Raises UsageError for other arguments."""
        self._function = function
        self._with_task = _arity(function) == 3
        self._fingerprint = WorkerFingerprint(
            name=name or str(getattr(function, "__name__", type(function).__name__)),
            params={"source": _source_digest(function), **(params or {})},
        )

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The function's name, the digest of its source text and the parameters given."""
        return self._fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """Call the function once. Raises what it raises, and TypeError for another kind of answer."""
        arguments = (task, context, start) if self._with_task else (task.prompt, context.steer.text)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(context.wall_limit_s) as clock:
                answer: object = await self._called(arguments)
        except TimeoutError:
            if not clock.expired():
                raise  # the function's own
            text = f"stopped at the wall limit of {context.wall_limit_s} s"
            event = TraceEvent(turn=0, kind="error", text=text, failed=True)
            answer = AttemptResult(output="", outcome="timeout", trace=(event,))
        return _result(answer, time.perf_counter() - started)

    async def _called(self, arguments: tuple[object, ...]) -> object:
        call = functools.partial(self._function, *arguments)
        # An async function does nothing before it is awaited, so it needs no thread.
        answer = call() if inspect.iscoroutinefunction(self._function) else await _in_thread(call)
        return await answer if inspect.isawaitable(answer) else answer


def _result(answer: object, wall_s: float) -> AttemptResult:
    if isinstance(answer, str):
        event = TraceEvent(turn=0, kind="message", name="assistant", text=answer)
        answer = AttemptResult(output=answer, trace=(event,), outcome="ok" if answer.strip() else "empty")
    if not isinstance(answer, AttemptResult):
        raise TypeError(f"a worker function returns text or an AttemptResult, not {type(answer).__name__}")
    timed = Cost(wall_s=wall_s) if answer.cost.wall_s is None else Cost()
    return answer.model_copy(update={"cost": answer.cost.plus(timed)})


class _Delivery:
    """Carries what a block returns or raises in a thread to a future of the event loop."""

    def __init__(self, future: asyncio.Future[object]) -> None:
        self._future = future
        self._loop = future.get_loop()
        self.value: object = None

    def __enter__(self) -> _Delivery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._arrive, error)
        return True

    def _arrive(self, error: BaseException | None) -> None:
        if self._future.done():
            return
        if error is None:
            self._future.set_result(self.value)
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            self._future.set_exception(error)
        else:  # sys.exit() in a worker must not end the program
            self._future.set_exception(RuntimeError(f"the function ended with {error!r}"))


async def _in_thread(call: Callable[[], object]) -> object:
    """As `asyncio.to_thread`, in a daemon thread: one that never returns does not keep the program from ending."""
    future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    context = contextvars.copy_context()

    def run() -> None:
        with _Delivery(future) as delivery:
            delivery.value = context.run(call)

    threading.Thread(target=run, name="worker function", daemon=True).start()
    return await future


def _arity(function: Callable[..., object]) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise UsageError(f"the arguments of {function!r} cannot be read; wrap it in a function") from error
    needed = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(needed) not in (2, 3):
        names = ", ".join(parameter.name for parameter in needed) or "nothing"
        raise UsageError(f"a worker function takes (prompt, steer) or (task, context, start), not ({names})")
    return len(needed)


def _source_digest(function: object) -> str:
    inner = function.func if isinstance(function, functools.partial) else function
    try:
        source = inspect.getsource(inner if inspect.isroutine(inner) else type(inner))
    except (OSError, TypeError):
        return "unknown"  # typed at a prompt, or not Python
    return digest_text(source)
