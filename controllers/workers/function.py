"""A worker that is any Python callable, sync or async."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from signatures.digest import digest_text
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Task, TraceEvent, WorkerFingerprint

__all__ = ["FunctionWorker"]

Answer = str | AttemptResult


class FunctionWorker:
    """Calls `function(prompt, steer_text)` or `function(task, context, start)`, which returns text or a result.

    A sync function runs in a thread of its own. What the function raises is an infrastructure failure. Past
    `context.wall_limit_s` the attempt is a `timeout`; an async function is cancelled then, a thread cannot be stopped
    and runs on unheard.
    """

    def __init__(
        self,
        function: Callable[..., Answer | Coroutine[Any, Any, Answer]],
        *,
        name: str | None = None,
        params: Mapping[str, str] | None = None,
    ) -> None:
        """`params`: settings of the function that make it another worker. Raises UsageError for other arguments."""
        self._function = function
        self._with_task = _arity(function) == 3
        self._fingerprint = WorkerFingerprint(
            name=name or getattr(function, "__name__", type(function).__name__),
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
                answer = await self._called(arguments)
        except TimeoutError:
            if not clock.expired():
                raise  # the function's own
            answer = _late(context)
        return _result(answer, time.perf_counter() - started)
