"""One brokered attempt: reserve, run the worker, check, bill. What the corpus already holds is not run again."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import TypeAdapter

from controllers import Checker
from controllers.boundary import boundary
from controllers.budget import amounts_of
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
    Failure,
    Steer,
    Task,
    TraceEvent,
)

_TRACE: TypeAdapter[tuple[TraceEvent, ...]] = TypeAdapter(tuple[TraceEvent, ...])


class Launched(NamedTuple):
    """A finished attempt, the blobs its record names, and its output and state as text."""

    seen: Seen
    blobs: tuple[bytes, ...] = ()
    output: str | None = None
    state: str | None = None


class Checked(NamedTuple):
    """A worker's result and what the checkers said of it."""

    result: AttemptResult
    checks: tuple[CheckerResult, ...]


async def attempt(progress: Progress, parts: Parts, parent: Seen | None, steer: Steer, *, index: int) -> Launched:
    """Run (or recall) the attempt at position `index`. Raises BudgetExceeded before anything is spent."""
    spec = progress.spec
    parent_id = None if parent is None else parent.attempt.id
    seed = seed_of("attempt", spec.seed, spec.repeat, spec.task.digest, index)
    id = digest_of("attempt", progress.episode_id, index, parent_id, steer, seed)
    limit = progress.turns_limit()
    held = progress.budget.reserve(Amounts(attempts=1, turns=limit))
    recorded = progress.recorded_attempts.get(id)
    if recorded is not None:
        launched = await _recall(recorded, parts)
    else:
        start = None if parent_id is None else progress.states.get(parent_id)
        context = AttemptContext(attempt_id=id, steer=steer, seed=seed, repeat=spec.repeat, turns_limit=limit)
        outcome = await _checked(progress, parts, context, start)
        launched = _record(progress, parts, context, outcome, parent=parent, index=index)
    done = launched.seen.attempt
    if done.failure is None:
        held.settle(amounts_of(done.cost, attempts=1))
        parts.breaker.succeeded()
    else:
        held.refund()
        if recorded is None:
            parts.breaker.failed(done.failure)
    return launched


async def _checked(progress: Progress, parts: Parts, context: AttemptContext, start: str | None) -> Checked | Failure:
    task, name = progress.spec.task, parts.worker.fingerprint.name

    async def run() -> AttemptResult:
        parts.breaker.check()
        with boundary(WorkerError, f"worker {name}"):
            return await parts.worker.attempt(task, context, start)

    result = await with_retries(run, f"worker {name}", parts.retry)
    if isinstance(result, Failure):
        return result
    checks: list[CheckerResult] = []
    for checker in parts.checkers:
        checked = await _check(checker, task, result, parts)
        if isinstance(checked, Failure):
            return checked
        checks.append(checked)
    return Checked(result, tuple(checks))


async def _check(checker: Checker, task: Task, result: AttemptResult, parts: Parts) -> CheckerResult | Failure:
    where = f"checker {checker.objective}"

    async def run() -> CheckerResult:
        with boundary(WorkerError, where):
            return await checker.check(task, result)

    return await with_retries(run, where, parts.retry)


def _record(
    progress: Progress,
    parts: Parts,
    context: AttemptContext,
    outcome: Checked | Failure,
    *,
    parent: Seen | None,
    index: int,
) -> Launched:
    spec = progress.spec
    base = Attempt(
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
    if isinstance(outcome, Failure):
        return Launched(Seen(base.model_copy(update={"outcome": "infra_error", "failure": outcome}), ()))
    result = outcome.result
    trace = _TRACE.dump_json(result.trace)
    texts = {text.encode("utf-8", "surrogatepass") for text in (result.output, result.state) if text is not None}
    filled = base.model_copy(
        update={
            "output_digest": digest_text(result.output),
            "state_digest": None if result.state is None else digest_text(result.state),
            "trace_digest": digest_bytes(trace),
            "checks": outcome.checks,
            "outcome": result.outcome,
            "cost": result.cost,
        }
    )
    return Launched(Seen(filled, result.trace), (trace, *sorted(texts)), result.output, result.state)


async def _recall(recorded: Attempt, parts: Parts) -> Launched:
    if recorded.trace_digest is None:
        return Launched(Seen(recorded, ()))
    trace = _TRACE.validate_json(await parts.corpus.blob(recorded.trace_digest))
    output = None if recorded.output_digest is None else await blob_text(parts, recorded.output_digest)
    state = None if recorded.state_digest is None else await blob_text(parts, recorded.state_digest)
    return Launched(Seen(recorded, trace), (), output, state)


async def blob_text(parts: Parts, digest: str) -> str:
    """A text blob of the corpus. Raises StoreError."""
    try:
        return (await parts.corpus.blob(digest)).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise StoreError(f"blob {digest} is not text: {error}") from error
