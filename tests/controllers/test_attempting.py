from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from controllers.attempting import Launched, attempt, blob_text
from controllers.history import Seen
from controllers.loop import run_episode
from controllers.progress import Progress
from controllers.spec import EpisodeSpec, Parts
from signatures.digest import digest_bytes, digest_text
from signatures.errors import BudgetExceeded, Outage, StoreError, UsageError
from signatures.records import (
    Amounts,
    AttemptContext,
    AttemptResult,
    CheckerResult,
    Cost,
    Failure,
    Outcome,
    Steer,
    Task,
    TraceEvent,
    WorkerFingerprint,
)
from tests.controllers.parts import Climber, Height, a_spec, check, fails_at, parts_of, seen

STEER = Steer(kind="fixed", action="up", text="Go on up.")


class Answering:
    """Answers with what it was given, one thing a call, whatever that is."""

    fingerprint = WorkerFingerprint(name="answering")

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]


class Looking:
    """A checker that answers with what it was given."""

    objective = "clean"

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[AttemptResult] = []

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        self.asked.append(result)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]


async def launched(
    parts: Parts, *, spec: EpisodeSpec | None = None, parent: Seen | None = None, steer: Steer = STEER
) -> tuple[Progress, Launched]:
    progress = await Progress.open(spec or a_spec(), parts)
    return progress, await attempt(progress, parts, parent, steer, index=0)


def failure_of(one: Launched) -> Failure:
    assert one.seen.attempt.failure is not None
    return one.seen.attempt.failure


async def test_a_worker_is_given_its_context() -> None:
    worker = Climber()
    spec = a_spec(turns=9, each=4).model_copy(update={"repeat": 2})
    _, done = await launched(parts_of(worker), spec=spec)
    (context,) = worker.contexts
    assert (context.steer, context.turns_limit, context.repeat) == (STEER, 4, 2)
    assert context.attempt_id == done.seen.attempt.id


async def test_what_came_back_is_recorded_whole() -> None:
    trace = (TraceEvent(turn=0, kind="tool", name="x", text="y" * 100_000), TraceEvent(turn=1, kind="error", text="z"))
    result = AttemptResult(output="out", state="st", trace=trace, cost=Cost(turns=2, usd=0.1), outcome="refusal")
    _, done = await launched(parts_of(Answering(result), checkers=[Looking(check("clean", 0.5))]))
    record = done.seen.attempt
    assert (record.outcome, record.cost, record.steer) == ("refusal", Cost(turns=2, usd=0.1), STEER)
    assert record.checks == (check("clean", 0.5),)
    assert (record.output_digest, record.state_digest) == (digest_text("out"), digest_text("st"))
    assert (done.output, done.state, done.seen.trace) == ("out", "st", trace)
    by_digest = {digest_bytes(blob): blob for blob in done.blobs}
    assert by_digest[digest_text("out")] == b"out"
    assert len(json.loads(by_digest[record.trace_digest or ""])[0]["text"]) == 100_000
    assert len(by_digest) == 3


async def test_an_output_equal_to_the_state_is_one_blob() -> None:
    result = AttemptResult(output="same", state="same")
    _, done = await launched(parts_of(Answering(result), checkers=[]))
    assert sorted(done.blobs) == sorted({b"same", b"[]"})


@pytest.mark.parametrize("outcome", ["ok", "refusal", "empty", "timeout"])
async def test_an_answer_however_bad_is_billed_and_no_failure(outcome: Outcome) -> None:
    result = AttemptResult(output="", outcome=outcome, cost=Cost(turns=1))  # type: ignore[arg-type]
    progress, done = await launched(parts_of(Answering(result), checkers=[]))
    done.settle()
    assert done.seen.attempt.failure is None
    assert progress.budget.spent == Amounts(attempts=1, turns=1)


async def test_an_attempt_is_held_until_it_is_settled_once() -> None:
    progress, done = await launched(parts_of(Climber()), spec=a_spec(turns=9, each=4))
    assert (progress.budget.left("attempts"), progress.budget.left("turns")) == (2, 5)
    assert progress.budget.spent == Amounts()
    done.settle()
    assert (progress.budget.left("attempts"), progress.budget.left("turns")) == (2, 6)
    with pytest.raises(UsageError, match="once"):
        done.settle()


async def test_a_failure_is_given_back() -> None:
    worker = Climber(before=fails_at(0, error=RuntimeError("gone")))
    progress, done = await launched(parts_of(worker), spec=a_spec(turns=9, each=4))
    done.settle()
    assert (progress.budget.left("attempts"), progress.budget.left("turns")) == (3, 9)
    assert progress.budget.spent == Amounts()
    assert failure_of(done).message == "worker climber: RuntimeError: gone"
    assert (done.output, done.state, done.blobs, done.seen.trace) == (None, None, (), ())


async def test_nothing_is_launched_that_cannot_be_paid_for() -> None:
    worker = Climber()
    with pytest.raises(BudgetExceeded, match="attempts"):
        await launched(parts_of(worker), spec=a_spec(attempts=0))
    assert worker.contexts == []


async def test_what_passes_is_tried_again_under_one_id() -> None:
    worker = Climber(before=fails_at(0, 1, error=ConnectionError("refused")))
    _, done = await launched(parts_of(worker))
    assert done.seen.attempt.outcome == "ok"
    assert len({context.attempt_id for context in worker.contexts}) == 1
    assert len(worker.contexts) == 3


async def test_a_checker_that_cannot_be_asked_is_a_failure_of_the_attempt() -> None:
    good, bad = Height(), Looking(OSError("no scanner"))
    _, done = await launched(parts_of(Climber(), checkers=[good, bad]))
    assert failure_of(done).where == "checker clean"
    assert failure_of(done).message == "checker clean: OSError: no scanner"
    assert done.seen.attempt.checks == ()


async def test_a_checker_is_tried_again_without_running_the_worker_again() -> None:
    worker, checker = Climber(), Looking(TimeoutError("late"), check("clean", 1.0))
    _, done = await launched(parts_of(worker, checkers=[checker]))
    assert done.seen.attempt.checks == (check("clean", 1.0),)
    assert (len(worker.contexts), len(checker.asked)) == (1, 2)


async def test_a_checker_that_cannot_say_is_no_failure() -> None:
    _, done = await launched(parts_of(Climber(), checkers=[Looking(check("clean", None))]))
    assert done.seen.attempt.outcome == "ok"
    assert done.seen.attempt.checks == (check("clean", None),)


@pytest.mark.parametrize("answer", [None, "at 1", {"output": "at 1"}, 7])
async def test_a_worker_that_returns_something_else_is_a_typed_failure(answer: object) -> None:
    _, done = await launched(parts_of(Answering(answer)))
    assert failure_of(done).error == "WorkerError"
    assert "a worker returns an AttemptResult, not" in failure_of(done).message


async def test_a_checker_that_returns_something_else_is_a_typed_failure() -> None:
    _, done = await launched(parts_of(Climber(), checkers=[Looking(0.5)]))
    assert "a checker returns a CheckerResult, not float" in failure_of(done).message


async def test_text_that_no_store_takes_is_mended_and_recorded() -> None:
    trace = (TraceEvent(turn=0, kind="tool", name="x", text="bad \ud83d half"),)
    answer = AttemptResult(output="\udc00", state="s\ud800", trace=trace)
    said = CheckerResult(objective="clean", value=1.0, unit="share", detail="\ud800")
    parts = parts_of(Answering(answer), checkers=[Looking(said)])
    rollout = await run_episode(a_spec(attempts=1), parts)
    assert rollout.output == "?"
    assert rollout.history[0].trace[0].text == "bad ? half"
    assert rollout.history[0].attempt.checks[0].detail == "?"
    assert await run_episode(a_spec(attempts=1), parts) == rollout


async def ids(*specs: EpisodeSpec, parents: Sequence[Seen | None] = (None,), steer: Steer = STEER) -> list[str]:
    found = []
    for spec in specs:
        for parent in parents:
            _, done = await launched(parts_of(Climber()), spec=spec, parent=parent, steer=steer)
            found.append(done.seen.attempt.id)
    return found


async def test_an_id_is_a_function_of_the_inputs() -> None:
    base = a_spec()
    same = await ids(base, base)
    assert same[0] == same[1]
    others = await ids(base, a_spec(seed=2), base.model_copy(update={"repeat": 1}), parents=(None, seen(0), seen(1)))
    told = await ids(base, steer=STEER.model_copy(update={"text": "Go on up!"}))
    assert len({*others, *told}) == 10


async def test_a_repeat_draws_another_seed() -> None:
    worker = Climber()
    for repeat in (0, 1):
        await launched(parts_of(worker), spec=a_spec().model_copy(update={"repeat": repeat}))
    assert worker.contexts[0].seed != worker.contexts[1].seed


async def test_equal_arms_meet_the_same_luck() -> None:
    """The seed depends on task, run and position, not on the condition: arms are compared on common draws."""
    worker = Climber()
    for condition in ("random@3", "refine@3"):
        await launched(parts_of(worker), spec=a_spec().model_copy(update={"condition": condition}))
    assert worker.contexts[0].seed == worker.contexts[1].seed
    assert worker.contexts[0].attempt_id != worker.contexts[1].attempt_id


async def test_a_recalled_attempt_is_not_run_and_no_sign_of_health() -> None:
    worker = Climber()
    parts = parts_of(worker)
    rollout = await run_episode(a_spec(attempts=1), parts)
    for _ in range(9):
        parts.breaker.failed(Failure(error="WorkerError", message="gone", where="worker"))
    assert await run_episode(a_spec(attempts=1), parts) == rollout
    assert len(worker.contexts) == 1
    assert parts.breaker.in_a_row == 9


async def test_an_attempt_that_runs_is_a_sign_of_health() -> None:
    parts = parts_of(Climber())
    parts.breaker.failed(Failure(error="WorkerError", message="gone", where="worker"))
    await launched(parts)
    assert parts.breaker.in_a_row == 0


async def test_nothing_is_launched_once_the_run_was_stopped() -> None:
    worker = Climber()
    parts = parts_of(worker)
    parts.breaker.in_a_row = parts.breaker.limit
    with pytest.raises(Outage, match="10 infrastructure failures in a row"):
        await launched(parts)
    assert worker.contexts == []


async def test_a_blob_that_is_not_text_is_a_store_error() -> None:
    parts = parts_of(Climber())
    await parts.corpus.append(blobs=[b"\xff\xfe", "Grüße".encode()])
    assert await blob_text(parts, digest_text("Grüße")) == "Grüße"
    with pytest.raises(StoreError, match="is not text"):
        await blob_text(parts, digest_bytes(b"\xff\xfe"))
