"""A worker that answers from a script: the test double, and the default where no agent is at hand."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pydantic import Field

from signatures.digest import seed_of
from signatures.errors import UsageError
from signatures.records import (
    AttemptContext,
    AttemptResult,
    Cost,
    Probability,
    Record,
    Task,
    TraceEvent,
    WorkerFingerprint,
)

__all__ = ["ScriptedWorker"]

Script = Callable[[Task, AttemptContext, str | None], AttemptResult]
Planned = AttemptResult | Exception

OBEYED_WORD: Final = "carefully"


class ScriptedWorker:
    """Does what `script(task, context, start)` says; what the script raises is an infrastructure failure.

    Without a script it flips `coin()`, seeded by the context. `calls` holds the context of every attempt asked for.
    """

    def __init__(
        self, script: Script | None = None, *, name: str = "scripted", params: Mapping[str, str] | None = None
    ) -> None:
        """`params`: what distinguishes this script from others in the fingerprint."""
        self._script = script or coin()
        self._fingerprint = WorkerFingerprint(name=name, params=dict(params or {}))
        self.calls: list[AttemptContext] = []

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The name and parameters given."""
        return self._fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """Ask the script."""
        self.calls.append(context)
        return self._script(task, context, start)


class CoinConfig(Record):
    """A worker that solves a task by chance, more often as it goes on and when it is told to be careful."""

    success: Probability = 0.3
    success_by_task: Mapping[str, Probability] = Field(default_factory=dict)
    "task digest -> its own probability"
    gain: Probability = 0.1
    "added for each earlier attempt that the state remembers"
    obeyed: Probability = 0.3
    "added where the steer holds the word `carefully`"
    turns: int = Field(default=3, ge=1)
    "at most, and no more than the context allows"


def coin(config: CoinConfig | None = None) -> Script:
    """A script whose output is `solved` or `unsolved`: one trace event a turn, and a state that counts attempts."""
    chosen = config or CoinConfig()

    def script(task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        draw = random.Random(seed_of("coin", task.digest, context.seed))
        earlier = 0 if start is None else int(json.loads(start)["attempts"])
        careful = OBEYED_WORD in context.steer.text.lower()
        chance = chosen.success_by_task.get(task.digest, chosen.success) + chosen.gain * earlier
        solved = draw.random() < min(1.0, chance + chosen.obeyed * careful)
        limit = chosen.turns if context.turns_limit is None else min(chosen.turns, context.turns_limit)
        turns = draw.randint(min(1, limit), limit)
        manner = "carefully" if careful else "quickly"
        return AttemptResult(
            output="solved" if solved else "unsolved",
            state=json.dumps({"attempts": earlier + 1}),
            trace=tuple(
                TraceEvent(turn=turn, kind="message", name="assistant", text=f"turn {turn}: working {manner}")
                for turn in range(turns)
            ),
            cost=Cost(turns=turns),
        )

    return script


def table(rows: Mapping[tuple[str, int], Planned | Sequence[Planned]], *, default: Planned | None = None) -> Script:
    """A script that looks up (task digest, repeat). An exception is raised; of a sequence each try takes the next.

    The last of a sequence stands for all later tries. Raises UsageError for a row that is neither there nor covered
    by `default`.
    """
    tries: dict[tuple[str, int], int] = {}

    def script(task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        key = (task.digest, context.repeat)
        row = rows.get(key, default)
        if row is None:
            raise UsageError(f"the script has no row for task {task.digest}, repeat {context.repeat}")
        planned = row if isinstance(row, Sequence) else (row,)
        tries[key] = tries.get(key, -1) + 1
        return _delivered(planned[min(tries[key], len(planned) - 1)])

    return script


def failing(script: Script, errors: Sequence[Exception | None]) -> Script:
    """`script` with a schedule of failures: the n-th call raises `errors[n]` where that is an exception."""
    schedule = iter(errors)

    def failing_script(task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        if (error := next(schedule, None)) is not None:
            raise error
        return script(task, context, start)

    return failing_script


def _delivered(planned: Planned) -> AttemptResult:
    if isinstance(planned, Exception):
        raise planned
    return planned
