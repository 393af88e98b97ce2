"""One brokered attempt: reserve, run the worker, check, bill. What the corpus already holds is not run again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from pydantic import TypeAdapter

from controllers import Checker
from controllers.boundary import boundary
from controllers.budget import Reservation, amounts_of
from controllers.history import Seen
from controllers.progress import Progress
from controllers.retry import with_retries
from controllers.spec import Parts
from signatures.digest import digest_bytes, digest_of, digest_text, seed_of
from signatures.errors import StoreError, WorkerError
from signatures.records import (
    Amounts,
    Attempt,
    AttemptContext,
    AttemptResult,
    CheckerResult,
    Cost,
    Failure,
    Steer,
    Task,
    TraceEvent,
)

_TRACE: TypeAdapter[tuple[TraceEvent, ...]] = TypeAdapter(tuple[TraceEvent, ...])
_NOTHING: Final = Cost()


class Launched(NamedTuple):
    """A finished attempt, what is held for it, the blobs its record names, and its output and state as text."""

    seen: Seen
    held: Reservation
    blobs: tuple[bytes, ...] = ()
    output: str | None = None
    state: str | None = None

    def settle(self) -> None:
        """Bill what was spent; an attempt that infrastructure ended is given back."""
        done = self.seen.attempt
        if done.failure is None:
            self.held.settle(amounts_of(done.cost, attempts=1))
        else:
            self.held.refund()


class Checked(NamedTuple):
    """A worker's result and what the checkers said of it."""

    result: AttemptResult
    checks: tuple[CheckerResult, ...]


class Launch(NamedTuple):
    """An attempt that may start: its record as far as it is known, what its worker is given, and what is held."""

    blank: Attempt
    context: AttemptContext
    start: str | None
    held: Reservation


async def attempt(
    progress: Progress,
    parts: Parts,
    parent: Seen | None,
    steer: Steer,
    *,
    index: int,
    steer_cost: Cost = _NOTHING,
) -> Launched:
    """Run (or recall) the attempt at position `index`. Raises BudgetExceeded before anything is spent.

    What it holds is settled by the caller, so that attempts launched together see one budget whatever ends first.
    """
    ready = launch(progress, parts, parent, steer, index=index, steer_cost=steer_cost)
    recorded = progress.recorded_attempts.get(ready.blank.id)
    if recorded is not None:
        return await recall(recorded, ready.held, parts)
    outcome = await _checked(progress, parts, ready.context, ready.start)
    if isinstance(outcome, Failure):
        parts.breaker.failed(outcome)
        return failed(ready, outcome)
    parts.breaker.succeeded()
    return landed(ready, outcome)


def launch(
    progress: Progress,
    parts: Parts,
    parent: Seen | None,
    steer: Steer,
    *,
    index: int,
    steer_cost: Cost = _NOTHING,
) -> Launch:
    """Name the attempt at position `index` and hold what it may spend. Raises BudgetExceeded."""
    spec = progress.spec
    parent_id = None if parent is None else parent.attempt.id
    seed = seed_of("attempt", spec.seed, spec.repeat, spec.task.digest, index)
    id = digest_of("attempt", progress.episode_id, index, parent_id, steer, seed)
    limit = progress.turns_limit()
    held = progress.budget.reserve(Amounts(attempts=1, turns=limit))
    wall = progress.budget.left("wall_s")
    context = AttemptContext(
        attempt_id=id,
        steer=steer,
        seed=seed,
        repeat=spec.repeat,
        turns_limit=limit,
        wall_limit_s=None if wall is None else max(0.0, wall),
    )
    blank = _blank(progress, parts, context, parent, index).model_copy(update={"steer_cost": steer_cost})
    return Launch(blank, context, None if parent_id is None else progress.states.get(parent_id), held)


async def _checked(progress: Progress, parts: Parts, context: AttemptContext, start: str | None) -> Checked | Failure:
    task, name = progress.spec.task, parts.worker.fingerprint.name

    async def run() -> AttemptResult:
        parts.breaker.check()
        with boundary(WorkerError, f"worker {name}"):
            result = await parts.worker.attempt(task, context, start)
            if not isinstance(result, AttemptResult):
                raise TypeError(f"a worker returns an AttemptResult, not {type(result).__name__}")
            return result.encodable()

    result = await with_retries(run, f"worker {name}", parts.retry)
    return result if isinstance(result, Failure) else await checked(task, result, parts)


async def checked(task: Task, result: AttemptResult, parts: Parts) -> Checked | Failure:
    """What every checker says of a worker's result, or the first that could not be asked."""
    checks: list[CheckerResult] = []
    for checker in parts.checkers:
        said = await _check(checker, task, result, parts)
        if isinstance(said, Failure):
            return said
        checks.append(said)
    return Checked(result, tuple(checks))


async def _check(checker: Checker, task: Task, result: AttemptResult, parts: Parts) -> CheckerResult | Failure:
    where = f"checker {checker.objective}"

    async def run() -> CheckerResult:
        with boundary(WorkerError, where):
            said = await checker.check(task, result)
            if not isinstance(said, CheckerResult):
                raise TypeError(f"a checker returns a CheckerResult, not {type(said).__name__}")
            return said.encodable()

    return await with_retries(run, where, parts.retry)


def _blank(progress: Progress, parts: Parts, context: AttemptContext, parent: Seen | None, index: int) -> Attempt:
    spec = progress.spec
    return Attempt(
        id=context.attempt_id,
        episode_id=progress.episode_id,
        round=progress.round,
        index=index,
        parent_id=None if parent is None else parent.attempt.id,
        start_digest=None if parent is None else parent.attempt.state_digest,
        task_digest=spec.task.digest,
        benchmark=spec.task.benchmark,
        worker=parts.worker.fingerprint,
        repeat=spec.repeat,
        steer=context.steer,
        outcome="ok",
    )


def failed(ready: Launch, failure: Failure) -> Launched:
    """The attempt as infrastructure ended it."""
    ended = ready.blank.model_copy(update={"outcome": "infra_error", "failure": failure})
    return Launched(Seen(ended, ()), ready.held)


def landed(ready: Launch, outcome: Checked) -> Launched:
    """The attempt as its worker and the checkers ended it."""
    result = outcome.result
    trace = trace_bytes(result.trace)
    texts = {text.encode("utf-8", "surrogatepass") for text in (result.output, result.state) if text is not None}
    filled = ready.blank.model_copy(
        update={
            "output_digest": digest_text(result.output),
            "state_digest": None if result.state is None else digest_text(result.state),
            "trace_digest": digest_bytes(trace),
            "checks": outcome.checks,
            "outcome": result.outcome,
            "cost": result.cost,
        }
    )
    return Launched(Seen(filled, result.trace), ready.held, (trace, *sorted(texts)), result.output, result.state)


def trace_bytes(trace: Sequence[TraceEvent]) -> bytes:
    """A trace as the blob that a record names."""
    return _TRACE.dump_json(tuple(trace))


async def recall(recorded: Attempt, held: Reservation, parts: Parts) -> Launched:
    """The attempt as the corpus holds it. Raises StoreError."""
    if recorded.trace_digest is None:
        return Launched(Seen(recorded, ()), held)
    trace = _TRACE.validate_json(await parts.corpus.blob(recorded.trace_digest))
    output = None if recorded.output_digest is None else await blob_text(parts, recorded.output_digest)
    state = None if recorded.state_digest is None else await blob_text(parts, recorded.state_digest)
    return Launched(Seen(recorded, trace), held, (), output, state)


async def blob_text(parts: Parts, digest: str) -> str:
    """A text blob of the corpus. Raises StoreError."""
    try:
        return (await parts.corpus.blob(digest)).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise StoreError(f"blob {digest} is not text: {error}") from error
