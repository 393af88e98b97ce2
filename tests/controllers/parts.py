"""Real, small parts that the tests of one episode share: a worker that climbs, its checker, and their records."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import dspy

from controllers import Checker, Corpus, Worker
from controllers.corpus.memory import MemoryCorpus
from controllers.history import Seen
from controllers.observe import NoObserver, Observer
from controllers.program import controller_of, rule_component
from controllers.retry import Breaker, RetryPolicy
from controllers.spec import EpisodeSpec, Parts
from controllers.steers import Steerer, steer_table
from signatures.digest import digest_of
from signatures.records import (
    Amounts,
    Attempt,
    AttemptContext,
    AttemptResult,
    Candidate,
    CheckerResult,
    Cost,
    Directive,
    Failure,
    Steer,
    Task,
    TraceEvent,
    WorkerFingerprint,
)

DIRECTIVES = (
    Directive(action="up", text="Go on up."),
    Directive(action="look", text="Look round first."),
    Directive(action="down", text="Go back down."),
)
NO_WAIT = RetryPolicy(base_s=0.0, cap_s=0.0)
PASSED = [{"when": [{"feature": "passed", "op": ">", "value": 0.5}], "then": {"done": 1.0}}]
FRESH_FIRST = [{"when": [{"feature": "attempts", "op": "<=", "value": 0.0}], "then": {"fanout_1": 1.0}}]


class Killed(BaseException):
    """What a kill looks like from inside one process: nothing may catch it."""


class Climber:
    """Climbs one step per attempt from where it starts; the state is the height. `starts` and `contexts` log calls.

    `before` is awaited with the number of the call, and may raise: how a test delays, fails or kills it.
    """

    def __init__(
        self,
        *,
        turns: int = 3,
        before: Callable[[int], Awaitable[None]] | None = None,
        costs: Sequence[Cost] = (),
    ) -> None:
        self.turns = turns
        self.before = before
        self.costs = costs
        self.starts: list[str | None] = []
        self.contexts: list[AttemptContext] = []

    @property
    def fingerprint(self) -> WorkerFingerprint:
        return WorkerFingerprint(name="climber", params={"turns": str(self.turns)})

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        call = len(self.contexts)
        self.contexts.append(context)
        self.starts.append(start)
        if self.before is not None:
            await self.before(call)
        height = int(start or 0) + 1
        turns = self.turns if context.turns_limit is None else min(self.turns, context.turns_limit)
        trace = tuple(TraceEvent(turn=n, kind="tool", name="step", arguments=f'{{"n":{n}}}') for n in range(turns))
        cost = self.costs[call] if call < len(self.costs) else Cost(turns=turns)
        return AttemptResult(output=f"at {height}", state=str(height), trace=trace, cost=cost)


class Height:
    """How high the climber stands, of `top` steps."""

    objective = "correct"

    def __init__(self, top: int = 3) -> None:
        self.top = top

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        height = int(result.state or 0)
        return CheckerResult(
            objective="correct", value=min(1.0, height / self.top), unit="share", passed=height >= self.top
        )


def fails_at(*calls: int, error: BaseException) -> Callable[[int], Awaitable[None]]:
    """Raise `error` at these calls."""

    async def before(call: int) -> None:
        if call in calls:
            raise error

    return before


def last_first(count: int) -> Callable[[int], Awaitable[None]]:
    """Of `count` calls launched together, the last ends first."""
    ended = [asyncio.Event() for _ in range(count + 1)]
    ended[count].set()

    async def before(call: int) -> None:
        await ended[call + 1].wait()
        ended[call].set()

    return before


def a_task(name: str = "climb") -> Task:
    return Task(digest=digest_of(name), benchmark="hill", prompt=f"Climb: {name}.")


def rules(otherwise: Mapping[str, float], *, when: Sequence[object] = ()) -> str:
    """A rule component."""
    return rule_component([dict(rule) for rule in when], otherwise)  # type: ignore[call-overload]


def climbing(
    *,
    stop: str | None = None,
    topology: str | None = None,
    steer: str | None = None,
) -> Candidate:
    """A candidate; by default: stop when passed, refine after the first attempt, say nothing."""
    return Candidate(
        components={
            "stop": stop or rules({"continue": 1.0}, when=PASSED),
            "topology": topology or rules({"refine_last": 1.0}, when=FRESH_FIRST),
            "steer": steer or rules({"none": 1.0}),
        }
    )


FANOUT_3 = climbing(topology=rules({"fanout_3": 1.0}))


def a_spec(
    *,
    attempts: int | None = 3,
    turns: int | None = None,
    each: int | None = None,
    seed: int = 1,
    steers: tuple[str, ...] = ("none",),
    task: Task | None = None,
) -> EpisodeSpec:
    return EpisodeSpec(
        task=task or a_task(),
        split="search",
        condition="test",
        seed=seed,
        granted=Amounts(attempts=attempts, turns=turns),
        turns_per_attempt=each,
        steer_legal=steers,
    )


def parts_of(
    worker: Worker,
    *,
    candidate: Candidate | None = None,
    checkers: Sequence[Checker] = (Height(),),
    corpus: Corpus | None = None,
    lm: dspy.LM | None = None,
    observer: Observer | None = None,
) -> Parts:
    """Parts with nothing to wait for and a corpus of their own."""
    eyes = observer or NoObserver()
    return Parts(
        controller=controller_of(candidate or climbing(), lm),
        worker=worker,
        checkers=checkers,
        steers=steer_table(DIRECTIVES, eyes, lm),
        observer=eyes,
        corpus=corpus or MemoryCorpus(),
        retry=NO_WAIT,
        breaker=Breaker(),
    )


def with_steer(parts: Parts, action: str, steerer: Steerer) -> Parts:
    """The same parts with one more steer."""
    return replace(parts, steers={**parts.steers, action: steerer})


def seen(
    index: int,
    *,
    parent: int | None = None,
    correct: float | None = None,
    checks: tuple[CheckerResult, ...] | None = None,
    trace: tuple[TraceEvent, ...] = (),
    cost: Cost = Cost(),  # noqa: B008
    failed: bool = False,
    action: str = "none",
    states: tuple[str | None, str | None] = (None, None),
) -> Seen:
    """Attempt `index` as policies see it; `correct` >= 1 passes."""
    if checks is None:
        checks = () if correct is None else (check("correct", correct, passed=correct >= 1),)
    attempt = Attempt(
        id=f"a{index}",
        episode_id="e",
        round=index,
        index=index,
        parent_id=None if parent is None else f"a{parent}",
        start_digest=states[0],
        state_digest=states[1],
        task_digest="t",
        benchmark="hill",
        worker=WorkerFingerprint(name="climber"),
        steer=Steer(action=action),
        checks=checks,
        outcome="infra_error" if failed else "ok",
        failure=Failure(error="WorkerError", message="gone", where="worker") if failed else None,
        cost=cost,
    )
    return Seen(attempt, trace)


def check(objective: str, value: float | None, *, passed: bool | None = None) -> CheckerResult:
    return CheckerResult(objective=objective, value=value, unit="share", passed=passed)


def tool(name: str, *, turn: int = 0, arguments: str = "{}", text: str = "", failed: bool = False) -> TraceEvent:
    return TraceEvent(turn=turn, kind="tool", name=name, arguments=arguments, text=text, failed=failed)


def action_text(action: str, confidence: float | str = 0.9) -> str:
    """A model's answer in the fields of a policy."""
    return f"[[ ## action ## ]]\n{action}\n\n[[ ## confidence ## ]]\n{confidence}\n\n[[ ## completed ## ]]"
