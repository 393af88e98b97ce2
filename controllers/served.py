"""An episode whose attempts somebody else runs: it says what is due, takes what came back, and outlives its process.

What this object holds is a copy of what is on disk. After any error, or a kill, throw it away and open the episode
again: the same attempts are due, under the same ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple, Protocol, Self

from controllers.attempting import Checked, Launch, Launched, checked, failed, landed, launch, recall, trace_bytes
from controllers.boundary import boundary
from controllers.deciding import Turn, decide
from controllers.history import Seen
from controllers.loop import absorb, finish
from controllers.progress import Progress
from controllers.redaction import redacted, redacted_checks, redacted_trace
from controllers.spec import EpisodeSpec, Parts, Rollout
from controllers.steers import AnalystSteer, Steerer
from signatures.digest import digest_bytes, digest_of, digest_text
from signatures.errors import StoreError, UsageError, WorkerError
from signatures.records import (
    Attempt,
    AttemptContext,
    AttemptResult,
    CheckerResult,
    Cost,
    Decision,
    Failure,
    Record,
    Steer,
    Task,
    WorkerFingerprint,
)

LONG: Final = 2**18
"""Characters, or bytes, of a report that is read and cleaned in a thread: of several million it takes seconds."""
LINE_CHARS: Final = 1_000
"""Of a failure as a client is told it."""


class NotDue(UsageError):
    """An attempt was reported that the episode did not ask for."""


class ReportConflict(UsageError):
    """An attempt was reported twice, with two contents."""


class Due(Record):
    """One attempt to be made now: go on from `start`, the state of attempt `parent_id`, or afresh where it is None."""

    context: AttemptContext
    index: int
    parent_id: str | None = None
    start: str | None = None


class NextMove(Record):
    """What happens next: the attempts to make, all of them independent; none: the episode is over."""

    episode_id: str
    round: int
    due: tuple[Due, ...] = ()
    selected_id: str | None = None
    "of an episode that is over: the attempt that was kept"
    output: str | None = None
    "of that attempt"
    failure: Failure | None = None
    "what ended the episode without a selection"

    @property
    def done(self) -> bool:
        """Whether the episode is over."""
        return not self.due


class Reported(Record):
    """A report that is durable."""

    attempt_id: str
    checks: tuple[CheckerResult, ...]
    waiting: tuple[str, ...]
    "attempts of the same round that are still due"
    failure: str | None = None
    "of an attempt that counts as not made: why, in one line; no checks then, and the episode ends without a selection"


class WrittenSteers(Protocol):
    """Keeps steers that a model wrote: asked again it would write others, and the attempt's id holds the text."""

    async def recall(self, episode_id: str, key: str) -> str | None:
        """What was kept. Raises StoreError."""

    async def keep(self, episode_id: str, key: str, body: str) -> None:
        """Return when it is durable. Raises StoreError."""


class RemoteWorker:
    """Stands for the worker that the client runs: it has its fingerprint, and cannot be asked from here."""

    def __init__(self, fingerprint: WorkerFingerprint) -> None:
        self.fingerprint = fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """Raises WorkerError: attempts of a served episode are made by the client."""
        raise WorkerError("this worker runs at the client")


class _Round(NamedTuple):
    """Attempts that are due together, in index order, and those that came back."""

    turn: Turn
    due: dict[str, Launch]
    back: dict[str, Launched]

    def waiting(self) -> tuple[str, ...]:
        return tuple(id for id in self.due if id not in self.back)


class ServedEpisode:
    """One episode, played from outside. One call at a time."""

    def __init__(self, progress: Progress, parts: Parts) -> None:
        self._progress = progress
        self._parts = parts
        self._round: _Round | None = None
        self._over: Rollout | None = None
        self.decisions: list[Decision] = []
        "made, or recalled, by this object: for meters"

    @classmethod
    async def open(cls, spec: EpisodeSpec, parts: Parts, steers: WrittenSteers | None = None) -> Self:
        """Begin the episode, or go on where the corpus ends. Raises StoreError."""
        progress = await Progress.open(spec, parts, decided=True)
        if steers is not None:
            parts = replace(parts, steers=_with_memory(parts, progress.episode_id, steers))
        episode = cls(progress, parts)
        await episode._catch_up()
        return episode

    @property
    def id(self) -> str:
        """The episode's id."""
        return self._progress.episode_id

    @property
    def over(self) -> bool:
        """Whether it is known to be over."""
        return self._over is not None

    async def next_move(self) -> NextMove:
        """The attempts that are due, the same ones until they are reported; their decisions are durable.

        Raises StoreError.
        """
        if self._over is None and self._round is None:
            await self._begin()
        at = {"episode_id": self.id, "round": self._progress.round}
        if self._over is not None:
            episode = self._over.episode
            end = {"selected_id": episode.selected_id, "output": self._over.output, "failure": episode.failure}
            return NextMove.model_validate({**at, **end})
        assert self._round is not None
        return NextMove.model_validate({**at, "due": tuple(_due(self._round.due[id]) for id in self._round.waiting())})

    async def report(
        self, attempt_id: str, came: AttemptResult | Failure, checks: Sequence[CheckerResult] | None = None
    ) -> Reported:
        """Check an attempt, or take the `checks` of whoever did, and return when it is durable.

        Secrets in its trace, in a failure's message and in the checks' details are blotted out first. The same report
        again changes nothing. Raises NotDue, ReportConflict, UsageError for a trace that the benchmark cannot read,
        StoreError.
        """
        came, checks = await _cleaned(came, checks)
        known = self._known(attempt_id)
        if known is not None:
            _require_same(known, came, checks)
            return self._reported(known)
        if self._round is None and self._over is None:
            await self._begin()  # the client may have been told of this round by an earlier process
        ready = None if self._round is None else self._round.due.get(attempt_id)
        if ready is None or self._round is None:
            raise NotDue(f"attempt {attempt_id[:40]!r} is not due in this episode; ask what is")
        one = await self._landed(ready, came, checks)
        self._require_readable(one.seen)
        await self._parts.corpus.append(one.seen.attempt, blobs=one.blobs)
        self._round.back[attempt_id] = one
        self._close_round()
        return self._reported(one.seen.attempt)

    async def _catch_up(self) -> None:
        """Play again what the corpus holds, up to the first round with an attempt that is not recorded."""
        recorded = [attempt.index for attempt in self._progress.recorded_attempts.values()]
        while self._round is None and max(recorded, default=-1) >= len(self._progress.history):
            await self._begin()
            if self._over is not None:
                raise StoreError(f"episode {self.id}: the corpus holds attempts that these decisions do not ask for")

    async def _begin(self) -> None:
        """Decide a round, or the end. What an earlier process recorded of it is recalled."""
        progress, parts = self._progress, self._parts
        turn = await decide(progress, parts)
        self.decisions += turn.decisions
        if not turn.parents:
            self._over = await finish(progress, parts, turn)
            return
        if turn.decisions:
            await parts.corpus.append(*turn.decisions)
        first = len(progress.history)
        launches = [
            launch(progress, parts, parent, turn.steer, index=first + offset, steer_cost=turn.cost_of(offset))
            for offset, parent in enumerate(turn.parents)
        ]
        self._round = _Round(turn, {one.blank.id: one for one in launches}, {})
        for id, ready in self._round.due.items():
            if id in progress.recorded_attempts:
                self._round.back[id] = await recall(progress.recorded_attempts[id], ready.held, parts)
        self._close_round()

    def _close_round(self) -> None:
        if self._round is not None and not self._round.waiting():
            done, self._round = self._round, None
            absorb(self._progress, done.turn, [done.back[id] for id in done.due])

    async def _landed(
        self, ready: Launch, came: AttemptResult | Failure, checks: Sequence[CheckerResult] | None
    ) -> Launched:
        if isinstance(came, AttemptResult):
            task = self._progress.spec.task
            came_checked = await checked(task, came, self._parts) if checks is None else Checked(came, tuple(checks))
            if isinstance(came_checked, Checked):
                return landed(ready, came_checked)
            came = _clean_failure(came_checked)
        return failed(ready, came)

    def _require_readable(self, seen: Seen) -> None:
        """Raises UsageError where the benchmark's observer cannot read it: else no later decision could be made."""
        back = {} if self._round is None else self._round.back
        history = (*self._progress.history, *(one.seen for one in back.values()), seen)
        try:
            with boundary(WorkerError, "observer"):
                self._parts.observer.features(history)
                self._parts.observer.untried(history)
        except WorkerError as error:
            raise UsageError(f"trace: this benchmark cannot read it ({error})") from error

    def _known(self, attempt_id: str) -> Attempt | None:
        back = {} if self._round is None else self._round.back
        seen = [*self._progress.history, *(one.seen for one in back.values())]
        return next((one.attempt for one in seen if one.attempt.id == attempt_id), None)

    def _reported(self, attempt: Attempt) -> Reported:
        waiting = () if self._round is None else self._round.waiting()
        failure = None if attempt.failure is None else failure_line(attempt.failure)
        return Reported(attempt_id=attempt.id, checks=attempt.checks, waiting=waiting, failure=failure)


def failure_line(failure: Failure) -> str:
    """A failure as a client is told it: one line of bounded length, without secrets."""
    return " ".join(redacted(failure.message).split())[:LINE_CHARS]


def is_long(came: AttemptResult | Failure, checks: Sequence[CheckerResult] | None) -> bool:
    """Whether a report is cleaned in a thread: beside others of its kind it would slow down all that is asked."""
    size = sum(len(check.detail) for check in checks or ())
    if isinstance(came, Failure):
        return size + len(came.message) >= LONG
    size += sum(len(event.arguments) + len(event.text) for event in came.trace)
    return size + len(came.output) + len(came.state or "") >= LONG


class _Came(NamedTuple):
    """A report: what came back, and the checks where they were made elsewhere."""

    result: AttemptResult | Failure
    checks: tuple[CheckerResult, ...] | None


async def _cleaned(came: AttemptResult | Failure, checks: Sequence[CheckerResult] | None) -> _Came:
    """The report as it may be kept. The event loop does not wait for a long one."""
    if is_long(came, checks):
        return await asyncio.to_thread(_clean, came, checks)
    return _clean(came, checks)


def _clean(came: AttemptResult | Failure, checks: Sequence[CheckerResult] | None) -> _Came:
    if isinstance(came, Failure):
        came = _clean_failure(came)
    else:
        came = came.encodable()
        came = came.model_copy(update={"trace": redacted_trace(came.trace)})
    said = None if checks is None else redacted_checks(tuple(check.encodable() for check in checks))
    return _Came(came, said)


def _clean_failure(failure: Failure) -> Failure:
    failure = failure.encodable()
    return failure.model_copy(update={"message": redacted(failure.message)})


def _due(ready: Launch) -> Due:
    return Due(context=ready.context, index=ready.blank.index, parent_id=ready.blank.parent_id, start=ready.start)


def _require_same(known: Attempt, came: AttemptResult | Failure, checks: Sequence[CheckerResult] | None) -> None:
    """Raises ReportConflict where a second report says something else than the first. Costs are measured: not asked."""
    if isinstance(came, Failure):
        same = known.failure is not None and known.failure.message == came.message
    elif known.failure is not None:
        same = known.failure.where.startswith("checker ")  # it came back, and could not be checked
    else:
        told = _told(came)
        same = told == (known.outcome, known.output_digest, known.state_digest, known.trace_digest)
        given = None if checks is None else [check.content() for check in checks]
        same = same and given in (None, [check.content() for check in known.checks])
    if not same:
        raise ReportConflict(f"attempt {known.id} was reported before, with another content")


def _told(came: AttemptResult) -> tuple[str, str, str | None, str]:
    """Outcome, and digests of output, state and trace, as the record of such a result has them."""
    state = None if came.state is None else digest_text(came.state)
    return came.outcome, digest_text(came.output), state, digest_bytes(trace_bytes(came.trace))


def _with_memory(parts: Parts, episode_id: str, kept: WrittenSteers) -> dict[str, Steerer]:
    return {
        name: _Remembering(steerer, episode_id, kept) if isinstance(steerer, AnalystSteer) else steerer
        for name, steerer in parts.steers.items()
    }


class _Written(Record):
    """A steer that a model wrote, as it is kept."""

    steer: Steer
    cost: Cost


class _Remembering:
    """A steerer that writes once: what it wrote is durable before anybody is told."""

    def __init__(self, inner: Steerer, episode_id: str, kept: WrittenSteers) -> None:
        self._inner, self._episode_id, self._kept = inner, episode_id, kept

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        """What it wrote before, or what it writes now."""
        key = digest_of(len(history), seed)
        body = await self._kept.recall(self._episode_id, key)
        if body is None:
            steer, cost = await self._inner.steer(task, history, seed)
            body = _Written(steer=steer.encodable(), cost=cost).model_dump_json()
            await self._kept.keep(self._episode_id, key, body)
        written = _Written.model_validate_json(body)
        return written.steer, written.cost
