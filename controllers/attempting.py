"""One brokered attempt: reserve, run the worker, check, bill. What the corpus already holds is not run again."""

from __future__ import annotations

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
    spec = progress.spec
    parent_id = None if parent is None else parent.attempt.id
    seed = seed_of("attempt", spec.seed, spec.repeat, spec.task.digest, index)
    id = digest_of("attempt", progress.episode_id, index, parent_id, steer, seed)
    limit = progress.turns_limit()
    held = progress.budget.reserve(Amounts(attempts=1, turns=limit))
    recorded = progress.recorded_attempts.get(id)
    if recorded is not None:
        return await _recall(recorded, held, parts)
    start = None if parent_id is None else progress.states.get(parent_id)
    wall = progress.budget.left("wall_s")
    context = AttemptContext(
        attempt_id=id,
        steer=steer,
        seed=seed,
        repeat=spec.repeat,
        turns_limit=limit,
        wall_limit_s=None if wall is None else max(0.0, wall),
    )
    outcome = await _checked(progress, parts, context, start)
    blank = _blank(progress, parts, context, parent, index).model_copy(update={"steer_cost": steer_cost})
    if isinstance(outcome, Failure):
        parts.breaker.failed(outcome)
        return Launched(Seen(blank.model_copy(update={"outcome": "infra_error", "failure": outcome}), ()), held)
    parts.breaker.succeeded()
    return _filled(blank, outcome, held)


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
            checked = await checker.check(task, result)
            if not isinstance(checked, CheckerResult):
                raise TypeError(f"a checker returns a CheckerResult, not {type(checked).__name__}")
            return checked.encodable()

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


def _filled(blank: Attempt, outcome: Checked, held: Reservation) -> Launched:
    result = outcome.result
    trace = _TRACE.dump_json(result.trace)
    texts = {text.encode("utf-8", "surrogatepass") for text in (result.output, result.state) if text is not None}
    filled = blank.model_copy(
        update={
            "output_digest": digest_text(result.output),
            "state_digest": None if result.state is None else digest_text(result.state),
            "trace_digest": digest_bytes(trace),
            "checks": outcome.checks,
            "outcome": result.outcome,
            "cost": result.cost,
        }
    )
    return Launched(Seen(filled, result.trace), held, (trace, *sorted(texts)), result.output, result.state)


async def _recall(recorded: Attempt, held: Reservation, parts: Parts) -> Launched:
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
