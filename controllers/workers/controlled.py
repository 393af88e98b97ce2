"""A controller over a worker, as a worker: one outer attempt is a whole inner episode within the outer limits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from controllers import Checker, Worker
from controllers.observe import NoObserver, Observer
from controllers.retry import RetryPolicy
from controllers.spec import EpisodeSpec, Parts
from signatures.digest import canonical_json, digest_of, seed_of
from signatures.errors import InfraError, ProviderError, UsageError, WorkerError
from signatures.records import (
    Amounts,
    Attempt,
    AttemptContext,
    AttemptResult,
    Cost,
    Decision,
    Episode,
    Failure,
    Steer,
    Task,
    TraceEvent,
    WorkerFingerprint,
)

if TYPE_CHECKING:
    from controllers.corpus.memory import MemoryCorpus
    from controllers.program import Controller
    from controllers.steers import Steerer

__all__ = ["ControlledWorker"]

MOST_DEPTH: Final = 3
"""Controllers within each other."""
_DEPTH: Final = ContextVar("controllers around the attempt under way", default=0)


@dataclass(frozen=True)
class Inner:
    """What plays the inner episode."""

    controller: Controller
    worker: Worker
    checkers: Sequence[Checker]
    steers: Mapping[str, Steerer]
    observer: Observer = field(default_factory=NoObserver)
    attempts: int = 3
    "inner ones in one outer attempt, at most"
    turns_per_attempt: int | None = None
    "of an inner one; None: what the outer attempt has left"
    steer_legal: tuple[str, ...] = ("none",)
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class ControlledWorker:
    """Plays an episode of `inner` in each attempt; the selected inner attempt's output and state are the result.

    Inner turns, tokens and money add up to the attempt's cost, and inner turns never exceed the outer limit. A fresh
    inner attempt starts where the outer one does and is told what the outer one is told. Infrastructure that fails
    inside fails the outer attempt. At the wall limit the best inner attempt so far counts, as a `timeout`.
    """

    def __init__(self, inner: Inner) -> None:
        self._inner = inner

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The controller, the worker below it and how the episode is cut."""
        inner = self._inner
        params = {
            "controller": inner.controller.digest,
            "worker": canonical_json(inner.worker.fingerprint),
            "cut": f"{inner.attempts}x{inner.turns_per_attempt}",
            "steers": ",".join(inner.steer_legal),
            "checkers": ",".join(checker.objective for checker in inner.checkers),
        }
        return WorkerFingerprint(name="controlled", params=params)

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One inner episode. Raises WorkerError and ProviderError where infrastructure ended it; UsageError beyond
        three controllers within each other, and as a program does.
        """
        from controllers.corpus.memory import MemoryCorpus
        from controllers.loop import run_episode

        inner, began, corpus = self._inner, time.perf_counter(), MemoryCorpus()
        below = _Below(inner.worker, context, start, began)
        parts = Parts(inner.controller, below, inner.checkers, inner.steers, inner.observer, corpus, inner.retry)
        late = False
        with _one_deeper():
            try:
                async with asyncio.timeout(context.wall_limit_s) as clock:
                    await run_episode(_spec(inner, task, context), parts)
            except TimeoutError:
                if not clock.expired():
                    raise
                late = True
        return await _result(corpus, below, late=late, wall_s=time.perf_counter() - began)


class _Below:
    """The inner worker as one outer attempt uses it: it starts where that starts, and is told that too."""

    def __init__(self, worker: Worker, outer: AttemptContext, start: str | None, began: float) -> None:
        self.worker, self.outer, self.start, self.began = worker, outer, start, began
        self.results: dict[str, AttemptResult] = {}

    @property
    def fingerprint(self) -> WorkerFingerprint:
        return self.worker.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        limit = self.outer.wall_limit_s
        left = None if limit is None else max(0.0, limit - (time.perf_counter() - self.began))
        told = context.model_copy(update={"steer": _joined(self.outer.steer, context.steer), "wall_limit_s": left})
        result = await self.worker.attempt(task, told, self.start if start is None else start)
        self.results[context.attempt_id] = result
        return result


def _spec(inner: Inner, task: Task, context: AttemptContext) -> EpisodeSpec:
    """The inner episode, a function of the outer attempt's inputs alone: no clock is in it."""
    return EpisodeSpec(
        task=task,
        split="search",
        condition="controlled",
        seed=seed_of("controlled", context.seed),
        repeat=context.repeat,
        granted=Amounts(attempts=inner.attempts, turns=context.turns_limit),
        turns_per_attempt=inner.turns_per_attempt,
        steer_legal=inner.steer_legal,
        revision=digest_of(context.steer),
    )


@contextmanager
def _one_deeper() -> Iterator[None]:
    """Raises UsageError beyond `MOST_DEPTH`."""
    depth = _DEPTH.get() + 1
    if depth > MOST_DEPTH:
        raise UsageError(f"controllers are nested {depth} deep; at most {MOST_DEPTH} stand within each other")
    token = _DEPTH.set(depth)
    try:
        yield
    finally:
        _DEPTH.reset(token)


def _joined(outer: Steer, inner: Steer) -> Steer:
    """What both say; where both give a tier or tools, the inner one's."""
    if inner == Steer():
        return outer
    text = "\n".join(text for text in (outer.text, inner.text) if text)
    tools = outer.tools if inner.tools is None else inner.tools
    return inner.model_copy(update={"text": text, "tier": inner.tier or outer.tier, "tools": tools})


async def _result(corpus: MemoryCorpus, below: _Below, *, late: bool, wall_s: float) -> AttemptResult:
    """The selected attempt's output and state, with the costs and traces of all. Raises InfraError."""
    from controllers.history import Seen
    from controllers.selector import select

    attempts = sorted([one async for one in corpus.scan(Attempt)], key=lambda one: one.index)
    async for episode in corpus.scan(Episode):
        if episode.failure is not None:
            raise _infra(episode.failure)
    made = [below.results[one.id].cost for one in attempts]
    # At the wall limit a round under way is not on record, but its attempts that ended were paid for.
    ended = {one.id for one in attempts}
    made += [below.results[id].cost for id in sorted(below.results.keys() - ended)]
    deciding = [decision.cost async for decision in corpus.scan(Decision)]
    cost = Cost() if made else Cost(turns=0)
    for part in (*made, *(one.steer_cost for one in attempts), *deciding):
        cost = cost.plus(part)
    cost = cost.model_copy(update={"wall_s": wall_s})
    chosen = select([Seen(one, ()) for one in attempts])
    trace = tuple(_told(attempts, below, late=late))
    if chosen is None:
        return AttemptResult(output="", trace=trace, cost=cost, outcome="timeout" if late else "empty")
    best = below.results[chosen.attempt.id]
    return best.model_copy(update={"trace": trace, "cost": cost, "outcome": "timeout" if late else best.outcome})


def _told(attempts: Sequence[Attempt], below: _Below, *, late: bool) -> Iterator[TraceEvent]:
    """The traces one after another, each behind a line that says which inner attempt it is of."""
    turn, place = 0, {one.id: one.index for one in attempts}
    for one in attempts:
        origin = "fresh" if one.parent_id is None else f"on from {place[one.parent_id]}"
        about = f"inner attempt {one.index}, {origin}, told {one.steer.action}: {one.outcome}"
        yield TraceEvent(turn=turn, kind="process", name="inner attempt", text=about)
        last = turn
        for event in below.results[one.id].trace:
            last = turn + event.turn
            yield event.model_copy(update={"turn": last})
        turn = max(last, turn + (one.cost.turns or 0))
    if late:
        text = f"stopped at the wall limit of {below.outer.wall_limit_s} s"
        yield TraceEvent(turn=turn, kind="error", name="timeout", text=text, failed=True)


def _infra(failure: Failure) -> InfraError:
    """It was tried as often as it may be where it failed, so that it is not tried again further out."""
    kind = ProviderError if failure.error == ProviderError.__name__ else WorkerError
    return kind(f"inner {failure.where}: {failure.message}")
