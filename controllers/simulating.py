"""What the simulated workers share: how hastily each works, what it hears of a steer, and the calls that it makes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from controllers.worlds import Session
from signatures.digest import canonical_json, digest_text, seed_of
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Cost, Task, TraceEvent, WorkerFingerprint

_UNDO: Final = re.compile(r"\b(undo|revert|roll(ed)? back|take back)\b", re.IGNORECASE)
_AVOID: Final = re.compile(
    r"\b(do not|don't|avoid|skip|no need|leave|called|failed|already (checked|fine|ok))\b", re.IGNORECASE
)
ReturnT = TypeVar("ReturnT")


class Call(NamedTuple):
    """A call of one of a world's tools."""

    tool: str
    arguments: Mapping[str, object] = {}


Steps = Generator[Call, str, ReturnT]
"""A piece of work: yields calls, and is sent what each gave."""


class Begun(NamedTuple):
    """An attempt that has begun: its random numbers, what it hears of the steer, and its most turns."""

    rng: random.Random
    noise: float
    heard: str
    limit: int

    def slips(self) -> bool:
        """Draw whether it errs now: at the rate `noise`."""
        return self.rng.random() < self.noise


@dataclass(frozen=True)
class Manner:
    """How a simulated worker works. Raises UsageError for rates outside [0, 1] and for less than one turn."""

    name: str
    noise: float
    "how often it errs, where it can err"
    compliance: float
    "how often an attempt hears its steer"
    turns: int
    "most calls of an attempt, where its context says nothing"

    def __post_init__(self) -> None:
        if not (0 <= self.noise <= 1 and 0 <= self.compliance <= 1 and self.turns >= 1):
            raise UsageError(
                f"{self.name} worker: noise {self.noise} and compliance {self.compliance} must be within [0, 1], "
                f"turns {self.turns} >= 1"
            )

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The name and the three parameters."""
        params = {"noise": self.noise, "compliance": self.compliance, "turns": self.turns}
        return WorkerFingerprint(name=self.name, params={name: str(value) for name, value in params.items()})

    def begin(self, task: Task, context: AttemptContext, start: str | None) -> Begun:
        """Begin an attempt, with random numbers of task, start state, seed and steer text."""
        text = context.steer.text
        rng = random.Random(seed_of(task.digest, digest_text(start or ""), context.seed, text))
        heard = text if rng.random() < self.compliance else ""
        return Begun(rng, self.noise, heard, self.turns if context.turns_limit is None else context.turns_limit)


class Calls:
    """The calls that an attempt makes in its session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._trace: list[TraceEvent] = []

    def make(self, call: Call) -> str:
        """Make a call: what it gave."""
        text, failed = self._session.call(call.tool, call.arguments)
        self._trace.append(event_of(len(self._trace), call, text, failed=failed))
        return text

    def follow(self, steps: Steps[object], limit: int) -> None:
        """Make the calls that `steps` asks for until it ends or `limit` are made; it is sent what the last gave too."""
        with closing(steps), suppress(StopIteration):
            call = next(steps)
            while len(self._trace) < limit:
                call = steps.send(self.make(call))

    def result(self) -> AttemptResult:
        """What the attempt came to: the state that it leaves, and its calls."""
        return result_of(self._session.snapshot(), self._trace)


def event_of(turn: int, call: Call, text: str, *, failed: bool) -> TraceEvent:
    """A call and what it gave, as the trace keeps them."""
    asked = canonical_json(dict(call.arguments))
    return TraceEvent(turn=turn, kind="tool", name=call.tool, arguments=asked, text=text, failed=failed)


def result_of(state: str, trace: Sequence[TraceEvent]) -> AttemptResult:
    """An attempt whose output is the state it leaves, and whose turns are its calls."""
    return AttemptResult(output=state, state=state, trace=tuple(trace), cost=Cost(turns=len(trace)))


class Wishes(NamedTuple):
    """What a steer asks for, in layers: to look there first, or last (warned of, or done), or to undo."""

    first: frozenset[str]
    last: frozenset[str]
    undo: frozenset[str] | None
    "None: nothing is to be undone"

    def tour(self, stops: Mapping[str, Collection[str]], rng: random.Random) -> list[str]:
        """The stops in an order drawn anew, by the layers of each: one wished for first early, all wished last late."""
        order = list(stops)
        rng.shuffle(order)
        return sorted(order, key=lambda stop: self._rank(stops[stop]))

    def _rank(self, layers: Collection[str]) -> int:
        return -1 if (self.first - self.last).intersection(layers) else int(self.last.issuperset(layers))


def wishes_in(sentences: Iterable[str], layers_in: Callable[[str], frozenset[str]]) -> Wishes:
    """What the sentences of a steer ask for, of the layers that `layers_in` finds in each."""
    found = Wishes(frozenset(), frozenset(), None)
    for sentence in sentences:
        named = layers_in(sentence)
        if _UNDO.search(sentence):
            found = found._replace(undo=named | (found.undo or frozenset()))
        elif _AVOID.search(sentence):
            found = found._replace(last=named | found.last)
        else:
            found = found._replace(first=named | found.first)
    return found
